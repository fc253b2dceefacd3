"""A part of an indexed ledger gives what filtering the tables and estimating from them gives, and alerts add up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from importlib.resources import as_file, files

import numpy as np
import pandas as pd
import pytest

from influbayes.errors import DataRefused, UsageError
from influbayes.returns.bootstrap import draw_mean
from influbayes.returns.engagement import estimate_engagement
from influbayes.returns.estimates import estimate_returns
from influbayes.returns.filters import LedgerFilter
from influbayes.returns.incremental import AMONG_BUYERS, INCREMENTAL, GroupSizes
from influbayes.returns.index import LedgerIndex, cut_ledger, index_ledger
from influbayes.returns.parts import cut_posts, estimate_part, list_alerts, sum_part
from influbayes.returns.pictures import rate_engagement
from influbayes.tables.ledger import Ledger, read_ledger

FILTERS = {
    "everything": LedgerFilter(),
    "a platform": LedgerFilter(platform=("TikTok",)),
    "two categories of a type": LedgerFilter(category=("Food", "Beauty"), type=("Micro",)),
    "a product": LedgerFilter(product=("Protein",), payout="by-orders"),
    "campaigns, payouts whole": LedgerFilter(campaign=("Campaign 1", "Campaign 2"), gender=("Male",), payout="whole"),
    "a period after first posts": LedgerFilter(
        start=date(2026, 2, 1), end=date(2026, 4, 1), after_first_post=True, payout="by-orders"
    ),
    "two influencers, one source": LedgerFilter(influencer=("i01", "i22"), source=("YouTube",), payout="by-orders"),
}


@pytest.fixture(scope="module")
def sample() -> Ledger:
    with as_file(files("influbayes.data").joinpath("ledger")) as folder:
        return read_ledger(folder)


@pytest.fixture(scope="module")
def index(sample: Ledger) -> LedgerIndex:
    return index_ledger(sample)


@pytest.mark.parametrize("name", FILTERS)
def test_a_part_equals_the_study_of_the_filtered_tables(sample: Ledger, index: LedgerIndex, name: str) -> None:
    whole = estimate_returns(sample, FILTERS[name], draws=600)
    part = estimate_part(cut_ledger(index, FILTERS[name]), draws=600)
    assert part.totals == whole.totals
    assert [(row.variable, row.level) for row in part.slices] == [(row.variable, row.level) for row in whole.slices]
    for mine, other in zip(part.slices, whole.slices, strict=True):
        numbers = ("revenue", "payout", "orders", "users", "influencers", "roas")
        assert [getattr(mine, n) for n in numbers] == pytest.approx([getattr(other, n) for n in numbers], nan_ok=True)
    assert [row.id for row in part.effects] == [row.id for row in whole.effects]
    for mine_row, row in zip(part.effects, whole.effects, strict=True):
        ours = [mine_row.estimate, mine_row.lower, mine_row.upper]
        assert ours == pytest.approx([row.estimate, row.lower, row.upper], rel=1e-9, nan_ok=True)
    assert part.heterogeneity.apart == whole.heterogeneity.apart
    assert part.heterogeneity.pooled_sd == pytest.approx(whole.heterogeneity.pooled_sd)


def test_dropping_influencers_leaves_the_others_their_sums(index: LedgerIndex) -> None:
    one, other = (estimate_part(cut_ledger(index, LedgerFilter(platform=(name,)))) for name in ("TikTok", "YouTube"))
    both = estimate_part(cut_ledger(index, LedgerFilter(platform=("TikTok", "YouTube"))))
    for name in ("revenue_credited", "payout", "orders", "influencers"):
        total = getattr(one.totals, name) + getattr(other.totals, name)
        assert getattr(both.totals, name) == pytest.approx(total)


def test_a_filter_of_orders_must_say_what_becomes_of_payouts(index: LedgerIndex) -> None:
    with pytest.raises(DataRefused, match="payouts have no campaign"):
        cut_ledger(index, LedgerFilter(campaign=("Campaign 1",)))


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (LedgerFilter(platform=("Radio",)), "No platform .Radio."),
        (LedgerFilter(product=("Sofa",), payout="whole"), "No product .Sofa."),
        (LedgerFilter(start=date(2030, 1, 1), payout="whole"), "No order is left"),
        (LedgerFilter(start=date(2026, 3, 2), end=date(2026, 3, 1), payout="whole"), "after its end"),
    ],
)
def test_a_filter_that_leaves_nothing_is_refused(index: LedgerIndex, chosen: LedgerFilter, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        cut_ledger(index, chosen)


def test_no_exposed_order_leaves_sums_and_says_why_there_is_no_estimate(read_tables: Callable[..., Ledger]) -> None:
    def drop_exposed(text: str) -> str:
        return "".join(line + "\n" for line in text.splitlines() if not ("YouTube" in line and line.endswith(",1")))

    orders = {"payouts.csv": lambda text: text.replace("10,1,10", "10,0,10")}
    index = index_ledger(read_tables({"tracking_data.csv": drop_exposed, **orders}))
    part = cut_ledger(index, LedgerFilter(influencer=("b",)))
    totals = sum_part(part).totals
    assert (totals.payout, totals.revenue_credited, totals.control_users) == (10.0, 0.0, 3)
    with pytest.raises(DataRefused, match="no exposed order"):
        estimate_part(part)


def test_sizes_of_groups_hold_for_the_whole_ledger_only(read_tables: Callable[..., Ledger]) -> None:
    def drop_idle(text: str) -> str:
        return "".join(line + "\n" for line in text.splitlines() if not line.endswith((",0,0,0", ",0,0,1")))

    index = index_ledger(read_tables({"tracking_data.csv": drop_idle}))
    sizes = GroupSizes(exposed=50, control=40)
    whole = estimate_part(cut_ledger(index), sizes=sizes)
    part = estimate_part(cut_ledger(index, LedgerFilter(influencer=("a",))), sizes=sizes)
    assert whole.incremental is not None
    assert part.incremental is not None
    assert (whole.incremental.label, whole.sizes_lost) == (INCREMENTAL, False)
    assert (part.incremental.label, part.sizes_lost) == (AMONG_BUYERS, True)


def test_alerts_name_whom_the_effects_hold_below_one_and_come_surest_first(index: LedgerIndex) -> None:
    part = estimate_part(cut_ledger(index), draws=600)
    roas = {row.level: row for row in part.effects if row.estimand == "roas" and row.variable == "influencer"}
    kept = {row.level: row.estimate for row in part.effects if row.estimand == "expected_loss_keeping"}
    alerts = list_alerts(part, floor=1.0, least=0.5)
    assert {row.influencer for row in alerts} == {name for name, row in roas.items() if 1 - row.probability >= 0.5}
    assert [row.probability for row in alerts] == sorted((row.probability for row in alerts), reverse=True)
    for row in alerts:
        assert row.roas == pytest.approx(roas[row.influencer].estimate)
        assert row.expected_loss == pytest.approx(kept[row.influencer])


def test_a_higher_floor_and_a_lower_probability_alert_more(index: LedgerIndex) -> None:
    part = estimate_part(cut_ledger(index), draws=600)
    counts = [len(list_alerts(part, floor=floor, least=0.8)) for floor in (0.0, 1.0, 1.5, 2.5)]
    assert counts == sorted(counts)
    assert counts[0] == 0 < counts[-1]
    assert len(list_alerts(part, least=0.2)) > len(list_alerts(part, least=0.8))


@pytest.mark.parametrize("setting", [{"floor": -1.0}, {"floor": float("inf")}, {"least": 1.5}])
def test_alerts_refuse_settings_without_meaning(index: LedgerIndex, setting: dict[str, float]) -> None:
    part = estimate_part(cut_ledger(index, LedgerFilter(platform=("TikTok",))))
    with pytest.raises(UsageError, match="give a ROAS from 0"):
        list_alerts(part, **setting)


def test_matched_draws_have_the_moments_of_the_bootstrap() -> None:
    rng = np.random.default_rng(7)
    spend = np.where(rng.random(400) < 0.3, np.round(rng.lognormal(4, 0.9, 400), 2), 0.0)
    exact = draw_mean(spend, draws=60_000, rng=np.random.default_rng(1))
    matched = draw_mean(spend, draws=60_000, rng=np.random.default_rng(2), most_weights=1)
    sd = exact.std()
    assert abs(matched.mean() - exact.mean()) < 4 * sd * np.sqrt(2 / 60_000)
    assert matched.std() == pytest.approx(sd, rel=0.02)
    tails = [0.05, 0.25, 0.5, 0.75, 0.95]
    assert np.abs(np.quantile(matched, tails) - np.quantile(exact, tails)).max() < 0.04 * sd
    skews = [float((((draws - draws.mean()) / draws.std()) ** 3).mean()) for draws in (exact, matched)]
    assert skews[0] > 0.08
    assert skews[1] == pytest.approx(skews[0], abs=0.04)


def test_few_draws_are_refused(index: LedgerIndex) -> None:
    with pytest.raises(UsageError, match="too few to tell intervals by"):
        estimate_part(cut_ledger(index), draws=50)


def test_posts_of_a_part_are_those_of_its_influencers(sample: Ledger, index: LedgerIndex) -> None:
    posts = cut_posts(cut_ledger(index, LedgerFilter(platform=("TikTok",))))
    tiktok = sample.influencers.loc[sample.influencers["platform"] == "TikTok", "id"]
    assert sorted(posts["url"]) == sorted(sample.posts.loc[sample.posts["influencer_id"].isin(tiktok), "url"])


def test_engagement_is_the_ratio_of_sums_with_the_interval_of_the_bootstrap(sample: Ledger) -> None:
    rates = {row["platform"]: row["rate"] for row in rate_engagement(sample)}
    rows = estimate_engagement(sample.posts, draws=4000)
    assert {row.platform: row.rate for row in rows} == rates
    for row in rows:
        own = sample.posts.loc[sample.posts["platform"] == row.platform]
        engaged, reach = own["likes"] + own["comments"], own["reach"]
        sd = float(np.sqrt(((engaged - row.rate * reach) ** 2).sum())) / float(reach.sum())
        assert row.lower < row.rate < row.upper
        assert row.upper - row.lower == pytest.approx(2 * 1.645 * sd, rel=0.15)


def test_engagement_of_one_post_has_no_interval_and_of_none_reached_no_rate(read_tables: Callable[..., Ledger]) -> None:
    rows = {row.platform: row for row in estimate_engagement(read_tables().posts)}
    assert (rows["Instagram"].rate, rows["Instagram"].posts) == (0.075, 2)
    assert (rows["YouTube"].posts_without_reach, np.isnan(rows["YouTube"].rate)) == (1, True)
    one = estimate_engagement(read_tables().posts.head(1))[0]
    assert (one.rate, np.isnan(one.lower)) == (0.1, True)


def test_many_posts_have_the_interval_of_the_delta_method() -> None:
    rng = np.random.default_rng(3)
    reach = rng.integers(500, 5000, 2500)
    posts = pd.DataFrame({"platform": "A", "reach": reach, "likes": rng.binomial(reach, 0.04), "comments": 0})
    many, few = estimate_engagement(posts)[0], estimate_engagement(posts.head(1900))[0]
    assert many.upper - many.lower == pytest.approx((few.upper - few.lower) * np.sqrt(1900 / 2500), rel=0.1)
