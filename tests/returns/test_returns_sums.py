"""ROAS as ratios of sums: what must not change it, what must, and filters that hit revenue and payouts alike."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from influbayes.errors import DataRefused, UsageError
from influbayes.returns.estimates import estimate_returns, find_best
from influbayes.returns.filters import LedgerFilter, describe_filter, filter_ledger
from influbayes.returns.incremental import GroupSizes, estimate_incremental
from influbayes.returns.money import sum_slices, sum_totals
from influbayes.tables.ledger import Ledger

Read = Callable[..., Ledger]
TRACK, PAY = "tracking_data.csv", "payouts.csv"


def roas_of(ledger: Ledger) -> dict[tuple[str, str], float]:
    return {(part.variable, part.level): part.roas for part in sum_slices(ledger)}


def double(text: str) -> str:
    head, *rows = text.splitlines()
    cells = [row.split(",") for row in rows]
    return "\n".join([head, *(",".join([*row[:7], str(2 * float(row[7])), row[8]]) for row in cells)]) + "\n"


def lift(ledger: Ledger, **sizes: int) -> float:
    found = estimate_incremental(
        ledger, sizes=GroupSizes(**sizes) if sizes else None, draws=500, rng=np.random.default_rng(1)
    )
    assert found is not None
    return (found.exposed_mean - found.control_mean) * found.exposed_users / sum_totals(ledger).payout


def test_totals_and_slices_are_those_done_by_hand(read_tables: Read) -> None:
    ledger = read_tables()
    totals = sum_totals(ledger)
    assert (totals.revenue_all, totals.revenue_exposed, totals.revenue_credited) == (123, 107, 100)
    assert (totals.payout, totals.roas) == (55, 100 / 55)
    roas = roas_of(ledger)
    assert roas["influencer", "a"] == 2
    assert roas["persona", "Food × Male"] == 2
    assert roas["persona", "Travel × Female"] == 0
    # a: three orders, of which one of P; b: one of P. Payout of P: 40 / 3 + 10.
    assert roas["product", "P"] == pytest.approx(50 / (40 / 3 + 10))


@pytest.mark.parametrize("variable", ["influencer", "persona", "platform", "type", "campaign", "product", "source"])
def test_slices_of_every_variable_sum_to_the_totals(read_tables: Read, variable: str) -> None:
    parts = [part for part in sum_slices(read_tables()) if part.variable == variable]
    assert sum(part.payout for part in parts) == pytest.approx(55)
    assert sum(part.revenue for part in parts) == pytest.approx(100)


def test_doubling_revenue_doubles_roas_and_incremental_roas(read_tables: Read) -> None:
    plain, doubled = read_tables(), read_tables({TRACK: double})
    assert sum_totals(doubled).roas == 2 * sum_totals(plain).roas
    assert lift(doubled) == pytest.approx(2 * lift(plain))
    once, twice = (estimate_returns(ledger, draws=500).effects for ledger in (plain, doubled))
    for before, after in zip(once, twice, strict=True):
        if before.estimand in ("roas", "incremental_roas", "expected_value"):
            assert after.estimate == pytest.approx(2 * before.estimate, rel=1e-6, abs=1e-9)


def test_splitting_a_payout_row_changes_nothing(read_tables: Read) -> None:
    whole = read_tables()
    split = read_tables({PAY: lambda text: text.replace("a,post,20,3,40", "a,post,20,3,20\na,post,20,0,20")})
    assert repr(roas_of(whole)) == repr(roas_of(split))
    assert lift(whole) == lift(split)
    # repr, since rows without an interval hold not-a-number, which is not equal to itself
    assert repr(estimate_returns(whole, draws=500).effects) == repr(estimate_returns(split, draws=500).effects)


def test_adding_control_rows_leaves_roas(read_tables: Read) -> None:
    more = read_tables({TRACK: lambda text: text + "s,One,a,u77,P,2026-01-05,3,500,0\n"})
    assert repr(roas_of(more)) == repr(roas_of(read_tables()))
    assert lift(more) < lift(read_tables())


def test_incremental_roas_is_per_user_times_exposed_users_over_payout(read_tables: Read) -> None:
    # Exposed users of known influencers: u1 30, u2 50, u3 0, u4 20, u5 0; control: u7 16 and three with 0.
    assert lift(read_tables()) == pytest.approx((100 / 5 - 16 / 4) * 5 / 55)


def test_user_in_both_groups_is_left_out(read_tables: Read) -> None:
    both = read_tables({TRACK: lambda text: text + "s,One,a,u2,,2026-01-05,0,0,0\n"})
    assert lift(both) == pytest.approx((50 / 4 - 16 / 4) * 4 / 55)
    assert sum_totals(both).roas == 100 / 55


def test_buyers_only_needs_group_sizes(read_tables: Read) -> None:
    only = read_tables({TRACK: lambda text: "".join(row for row in text.splitlines(True) if ",,2026" not in row)})
    found = estimate_incremental(only, sizes=None, draws=500, rng=np.random.default_rng(1))
    assert found is not None
    assert found.label == "among buyers, not incremental"
    assert lift(only, exposed=5, control=4) == pytest.approx((100 / 5 - 16 / 4) * 5 / 55)
    with pytest.raises(UsageError, match="fewer than"):
        lift(only, exposed=1, control=4)
    with pytest.raises(UsageError, match="counted, not given"):
        lift(read_tables(), exposed=5, control=4)


def test_payout_zero_is_undefined_and_never_infinite(read_tables: Read) -> None:
    ledger = read_tables({PAY: lambda text: text.replace("b,order,10,1,10", "b,order,0,1,0")})
    assert math.isnan(roas_of(ledger)["influencer", "b"])
    returns = estimate_returns(ledger, draws=500)
    ranked = {row.level for row in returns.effects if row.estimand == "probability_best"}
    assert ranked == {"a", "c"}
    assert all(math.isfinite(row.estimate) for row in returns.effects)


def test_filter_of_influencers_cuts_revenue_and_payout(read_tables: Read) -> None:
    part = filter_ledger(read_tables(), LedgerFilter(platform=("Instagram",)))
    assert (sum_totals(part).revenue_credited, sum_totals(part).payout) == (80, 40)


def test_filter_of_orders_alone_is_refused(read_tables: Read) -> None:
    with pytest.raises(DataRefused, match=r"IB-D53 payouts\.csv: payouts have no product"):
        filter_ledger(read_tables(), LedgerFilter(product=("P",)))


@pytest.mark.parametrize(("rule", "payout"), [("whole", 55.0), ("by-orders", 40 / 3 + 10 + 5)])
def test_product_filter_says_what_it_does_with_payouts(read_tables: Read, rule: str, payout: float) -> None:
    chosen = LedgerFilter(product=("P",), payout=rule)  # type: ignore[arg-type]
    part = filter_ledger(read_tables(), chosen)
    assert sum_totals(part).revenue_credited == 50
    assert sum_totals(part).payout == pytest.approx(payout)
    assert "payout" in describe_filter(chosen)
    # Who bought another product bought nothing of this one, and stays a user.
    assert sum_totals(part).exposed_users == sum_totals(read_tables()).exposed_users


def test_unknown_filter_value_is_named(read_tables: Read) -> None:
    with pytest.raises(UsageError, match='No platform "X"'):
        filter_ledger(read_tables(), LedgerFilter(platform=("X",)))


def test_best_counts_every_draw_once() -> None:
    chance = find_best(np.array([[1.0, 2, 3], [3.0, 2, 1]]), 2)
    assert chance.tolist() == [0.5, 1.0, 0.5]
