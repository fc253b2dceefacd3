"""Simulated ledgers: the bundled tables byte for byte, posts built from them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from influbayes.errors import UsageError
from influbayes.simulate import main
from influbayes.tables.ledger import Ledger, read_ledger
from influbayes.tables.ledger_posts import build_posts, count_orders
from influbayes.tables.ledger_simulation import render_ledger, simulate_ledger

BUNDLED = Path(__file__).resolve().parents[2] / "data" / "ledger"


def test_bundled_ledger_is_made_by_its_command(tmp_path: Path) -> None:
    out = tmp_path / "ledger"
    assert main(["ledger", "--out", str(out)]) == 0
    made = {path.name: path.read_bytes() for path in out.iterdir()}
    assert made == {path.name: path.read_bytes() for path in BUNDLED.iterdir()}
    assert main(["ledger", "--out", str(out)]) == 5


def test_bundled_ledger_is_read_without_refusal_and_knows_who_bought_nothing() -> None:
    ledger = read_ledger(BUNDLED, today=date(2026, 12, 1))
    assert (len(ledger.influencers), ledger.orders["campaign"].nunique(), ledger.payouts["rate"].min()) == (60, 5, 0)
    assert set(ledger.orders["product"]) == {"", "Protein", "Shaker", "Vitamins"}
    assert "IB-D63" not in {problem.code for problem in ledger.notices}


def test_same_seed_same_ledger_and_truth_adds_up() -> None:
    one, two = (render_ledger(simulate_ledger(influencers=8, users=200, seed=4)) for _ in range(2))
    assert one == two
    rows = simulate_ledger(influencers=8, users=200, seed=4).returns
    paid = rows["payout"] > 0
    assert np.allclose((rows["roas"] * rows["payout"])[paid], rows["revenue"][paid])


def test_a_user_whom_two_influencers_reached_would_have_bought_once() -> None:
    simulated = simulate_ledger(influencers=8, users=4000, seed=4)
    rows, orders = simulated.returns, simulated.tracking_data
    exposed = orders[orders["group"] == 1]
    assert exposed["user_id"].nunique() < len(exposed) == rows["exposed_users"].sum()
    per_user = simulated.unexposed_revenue / exposed["user_id"].nunique()
    base = rows["control_conversion"] * rows["control_spend"]
    by_row = (rows["exposed_users"] * base).sum() / len(exposed)
    assert per_user == pytest.approx(by_row, rel=0.01)
    truth = tomllib.loads(render_ledger(simulated)["truth.toml"])
    total = (rows["revenue"].sum() - simulated.unexposed_revenue) / rows["payout"].sum()
    assert truth["incremental_roas_total"] == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("sizes", [{"influencers": 1}, {"users": 10}, {"seed": -1}, {"campaigns": 0}])
def test_impossible_sizes_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        simulate_ledger(**sizes)  # type: ignore[arg-type]


def test_order_counts_for_the_last_post_before_it(read_tables: Callable[..., Ledger]) -> None:
    ledger = read_tables()
    assert dict(zip(ledger.posts["url"], count_orders(ledger, 7), strict=True)) == {"u1": 1, "u2": 1, "u3": 1}
    assert dict(zip(ledger.posts["url"], count_orders(ledger, 1), strict=True)) == {"u1": 0, "u2": 1, "u3": 0}


def test_built_posts_fit_the_ledger_specification_and_warn_of_a_wide_window(read_tables: Callable[..., Ledger]) -> None:
    from influbayes.hierarchy.spec import load_spec, required_columns

    posts = build_posts(read_tables())
    wanted = required_columns(load_spec("conversion_ledger"))
    assert set(wanted.numeric + wanted.labels) <= set(posts.frame.columns)
    assert posts.frame["engagement"].tolist() == [10.0, 5.0, 0.0]
    assert posts.window_days == 7
    assert "3 of 3 posts convert within 7 days" in str(posts.notices[-1])
    with pytest.raises(UsageError, match="give 1 to 365"):
        build_posts(read_tables(), 0)
