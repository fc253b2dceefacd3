"""Intervals cover the truth at their rate, the posterior picks a better top five, a negative control tells nothing."""

from __future__ import annotations

import time
import tomllib
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from influbayes.returns.estimates import Returns, estimate_returns
from influbayes.returns.money import sum_slices
from influbayes.returns.populations import draw_conversions, draw_counts
from influbayes.tables.ledger import Ledger, read_ledger
from influbayes.tables.ledger_simulation import SimulatedLedger, render_ledger, simulate_ledger

SEEDS = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "seeds"
LEDGERS = 30
PROB = 0.9


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[SimulatedLedger, Returns]]:
    return [study(tmp_path_factory.mktemp("ledger"), seed) for seed in range(9000, 9000 + LEDGERS)]


def study(folder: Path, seed: int) -> tuple[SimulatedLedger, Returns]:
    simulated = simulate_ledger(influencers=40, users=3000, seed=seed)
    return simulated, estimate_returns(write(simulated, folder), draws=1000, seed=seed)


def write(simulated: SimulatedLedger, folder: Path) -> Ledger:
    for name, text in render_ledger(simulated).items():
        (folder / name).write_text(text, encoding="utf-8")
    return read_ledger(folder, today=date(2026, 12, 1))


@pytest.mark.parametrize("estimand", ["roas", "incremental_roas"])
def test_intervals_of_influencers_cover_at_their_rate(
    studies: list[tuple[SimulatedLedger, Returns]], estimand: str
) -> None:
    shares = []
    for simulated, returns in studies:
        truth = dict(zip(simulated.returns["id"], simulated.returns[estimand], strict=True))
        rows = [row for row in returns.effects if row.estimand == estimand and row.variable == "influencer"]
        shares.append(np.mean([row.lower <= truth[str(row.level)] <= row.upper for row in rows]))
    # Influencers of one ledger share their population, so the ledger is the unit of the simulation band.
    band = 3 * np.std(shares, ddof=1) / np.sqrt(LEDGERS)
    assert band < 0.04
    assert abs(np.mean(shares) - PROB) < band, (np.mean(shares), band)


def test_total_intervals_cover(studies: list[tuple[SimulatedLedger, Returns]]) -> None:
    hits = []
    for simulated, returns in studies:
        rows = simulated.returns
        truth = {
            "roas": rows["revenue"].sum(),
            "incremental_roas": rows["revenue"].sum() - simulated.unexposed_revenue,
        }
        hits += [
            row.lower <= truth[row.estimand] / rows["payout"].sum() <= row.upper
            for row in returns.effects
            if row.variable == "total"
        ]
    assert abs(np.mean(hits) - PROB) < 3 * np.sqrt(PROB * (1 - PROB) / len(hits))


@pytest.mark.slow
@pytest.mark.parametrize("estimand", ["roas", "incremental_roas"])
def test_totals_lie_around_their_truth_as_far_as_they_say(estimand: str, tmp_path: Path) -> None:
    """Ledgers as large as the bundled one: the standardised error of a total has mean 0 and sd 1."""
    errors = []
    for seed in range(1, 201):
        simulated = simulate_ledger(seed=seed)
        truth = tomllib.loads(render_ledger(simulated)["truth.toml"])[f"{estimand}_total"]
        returns = estimate_returns(write(simulated, tmp_path), draws=2000, seed=1)
        row = next(row for row in returns.effects if row.variable == "total" and row.estimand == estimand)
        errors.append((row.estimate - truth) / ((row.upper - row.lower) / 3.29))
    assert abs(np.mean(errors)) < 3 / np.sqrt(200), np.mean(errors)
    assert abs(np.std(errors, ddof=1) - 1) < 3 / np.sqrt(400), np.std(errors)


def test_top_five_by_posterior_has_less_regret_than_by_raw_roas(
    studies: list[tuple[SimulatedLedger, Returns]],
) -> None:
    regrets = []
    for simulated, returns in studies:
        truth = simulated.returns.set_index("id")["roas"].dropna()
        raw = {part.level: part.roas for part in sum_slices(returns.ledger) if part.variable == "influencer"}
        pooled = {
            str(row.level): row.estimate
            for row in returns.effects
            if row.estimand == "roas" and row.variable == "influencer"
        }
        best = truth.nlargest(5).sum()
        regrets.append(
            [best - truth[sorted(truth.index, key=lambda name: -by[name])[:5]].sum() for by in (pooled, raw)]
        )
    by_posterior, by_raw = np.mean(regrets, axis=0)
    assert by_posterior < 0.85 * by_raw


@pytest.mark.parametrize("spread", [0.1, 0.6])
def test_populations_recover_their_spread(spread: float) -> None:
    rng = np.random.default_rng(7)
    users = np.full(400, 200.0)
    rates = 1 / (1 + np.exp(1.4 - spread * rng.standard_normal(400)))
    found = draw_conversions(rng.binomial(200, rates).astype(float), users, draws=1000, rng=rng)
    assert found.spread.mean() == pytest.approx(spread, abs=0.08)
    counts = rng.poisson(30 * rng.gamma(spread**-2, spread**2, size=400)).astype(float)
    assert draw_counts(counts, draws=1000, rng=rng).spread.mean() == pytest.approx(spread, abs=0.08)


@pytest.mark.skipif(not SEEDS.is_dir(), reason="the real files are not beside this checkout")
def test_real_files_have_their_totals_and_tell_no_influencer_apart() -> None:
    returns = estimate_returns(read_ledger(SEEDS))
    assert round(returns.totals.revenue_all, 2) == 531_346.61
    assert round(returns.totals.revenue_exposed, 2) == 492_941.26
    assert returns.heterogeneity.apart is False
    assert returns.heterogeneity.steady
    assert returns.heterogeneity.pooled_sd < 0.3 * returns.heterogeneity.raw_sd + 0.02
    assert returns.incremental is not None
    assert returns.incremental.label == "among buyers, not incremental"
    assert "IB-D63" in {problem.code for problem in returns.ledger.notices}


@pytest.mark.slow
def test_large_ledger_is_quick(tmp_path: Path) -> None:
    simulated = simulate_ledger(influencers=5000, users=250_000)
    start = time.process_time()
    ledger = write(simulated, tmp_path)
    estimate_returns(ledger)
    assert len(ledger.orders) >= 250_000
    assert time.process_time() - start < 20
