"""Break-even premiums of the whole model: truths drawn from the shipped priors are covered as often as stated."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binom

from influbayes.calibration.truths import draw_conversions, draw_parameters, find_log_odds
from influbayes.decisions.options import gather_options
from influbayes.decisions.premium import draw_curve, find_break_even, price_premium
from influbayes.hierarchy.design import build_design
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.spec import leave_out_after_purchase, load_spec
from influbayes.inference.engine import fit_model
from influbayes.tables.simulate import simulate_posts

FEES = {"Mega": 900.0, "Mid": 400.0, "Micro": 150.0}
VALUE = 1_200.0
PROBS = (0.5, 0.9)
PAIRS = (("Micro", "Mega"), ("Mid", "Mega"), ("Mid", "Micro"))
DRAWS = 250


def simulate_world(make_posts, name, seed, *, posts, creators):
    """A table whose truth is drawn from the priors, its fit by the exact engine, and the truth as a fit of one draw."""
    frame = simulate_posts(posts=posts, creators=creators, seed=seed).frame
    spec = leave_out_after_purchase(load_spec(name))
    design = build_design(make_posts(frame), spec, question="as_bought")
    rng = np.random.default_rng([seed, 5])
    truth = draw_parameters(design, rng=rng)
    drawn = draw_conversions(find_log_odds(design, truth, frame), np.ones(len(frame), dtype=np.int64), rng=rng)
    # Tables in which all or none convert are refused by the reader; leaving them out would bend the truths' prior.
    design = replace(design, rows=replace(design.rows, conversions=drawn[design.lines - 2]))
    fit = fit_model(design, engine="laplace", draws=DRAWS, chains=4, seed=seed)
    known = Fit(
        design=design,
        draws={key: np.asarray(value)[None, None] for key, value in truth.items()},
        sample_stats={},
        run=fit.run,
    )
    return fit, known


def price_world(fit, known):
    """Of each pair: whether each interval holds the true break-even premium, and the height of the curve there."""
    options = gather_options(fit, fees=FEES, values=VALUE)
    true = gather_options(known, fees=FEES, values=VALUE)
    premium = {prob: price_premium(options, PAIRS, prob=prob) for prob in PROBS}
    rows = []
    for k, pair in enumerate(PAIRS):
        place = float(find_break_even(true, *pair)[0, 0])
        held = [premium[prob].pairs[k].break_even for prob in PROBS]
        height = float(draw_curve(find_break_even(options, *pair), np.array([place]))[0])
        rows.append(([row.lower <= place <= row.upper for row in held], height))
    return rows


def count_worlds(make_posts, worlds, *, name="conversion", posts=120, creators=40, first=0):
    covered, heights = [], []
    for seed in range(first, first + worlds):
        rows = price_world(*simulate_world(make_posts, name, seed, posts=posts, creators=creators))
        covered.append([held for held, _ in rows])
        heights.append([height for _, height in rows])
    return SimpleNamespace(covered=np.array(covered), heights=np.array(heights))


def require_calibrated(counted):
    """Every pair within the 99 % bands (one pair in a hundred may leave its own by chance; three pairs share it)."""
    worlds, alpha = len(counted.heights), 0.01 / len(PAIRS)
    for k, pair in enumerate(PAIRS):
        for j, prob in enumerate(PROBS):
            low, high = binom.ppf([alpha / 2, 1 - alpha / 2], worlds, prob)
            held = int(counted.covered[:, k, j].sum())
            assert low <= held <= high, f"{pair}: {held} of {worlds} held by {prob:.0%} intervals"
        # The height at the truth is its rank among the draws: uniform, so its mean has error sqrt(1 / 12 n).
        reach = 2.94 * np.sqrt(1 / 12 / worlds)
        mean = float(counted.heights[:, k].mean())
        assert abs(mean - 0.5) < reach, f"{pair}: the curve at the true break-even averages {mean:.3f}"


def test_the_true_break_even_is_covered_as_stated_and_the_curve_there_averages_a_half(make_posts):
    """300 tables of 120 posts, tier and region pooled: truths from the priors, the exact engine, premiums in money."""
    require_calibrated(count_worlds(make_posts, 300))


@pytest.mark.slow
def test_the_same_with_creators_in_the_model(make_posts):
    """400 tables of 120 posts of 30 creators, creators' effects drawn from their population."""
    require_calibrated(count_worlds(make_posts, 400, name="conversion_creator", creators=30))


@pytest.mark.parametrize("fault", ["too narrow", "turned round"])
def test_premiums_that_are_wrong_are_found_out(make_posts, fault):
    """The same count on draws 40 % too narrow, or with two tiers swapped: 60 tables are enough to see it."""
    rows = []
    for seed in range(60):
        fit, known = simulate_world(make_posts, "conversion", seed, posts=120, creators=40)
        effects = fit.draws["effect_Influencer_Tier"]
        middle = effects.mean(axis=(0, 1))
        changed = middle + 0.4 * (effects - middle) if fault == "too narrow" else effects[..., [1, 0, 2]]
        rows.append(price_world(replace(fit, draws={**fit.draws, "effect_Influencer_Tier": changed}), known))
    counted = SimpleNamespace(
        covered=np.array([[held for held, _ in row] for row in rows]),
        heights=np.array([[height for _, height in row] for row in rows]),
    )
    with pytest.raises(AssertionError, match=r"held by|averages"):
        require_calibrated(counted)
