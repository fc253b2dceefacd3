"""Two levels in one call: swapped they invert, and the two probabilities add to 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from influbayes.effects.comparison import compare, probability
from influbayes.errors import UsageError
from influbayes.hierarchy.posterior import Fit

TIER = "Influencer_Tier"


def test_odds_ratio_and_difference_are_those_of_the_draws(small_fit: Fit) -> None:
    rows = {row.estimand: row for row in compare(small_fit, TIER, level="Micro", reference="Mega", prob=0.8)}
    assert {"odds_ratio", "average_odds_ratio", "difference", "lift"} <= set(rows)
    effect = small_fit.draws[f"effect_{TIER}"]
    ratio = np.exp(effect[..., 1] - effect[..., 0])
    assert rows["odds_ratio"].estimate == pytest.approx(np.median(ratio), rel=1e-12)
    assert rows["odds_ratio"].lower == pytest.approx(np.quantile(ratio, 0.1), rel=1e-12)
    assert rows["odds_ratio"].prob == 0.8


def test_swapped_levels_invert_every_number(small_fit: Fit) -> None:
    one = {row.estimand: row for row in compare(small_fit, TIER, level="Micro", reference="Mega")}
    other = {row.estimand: row for row in compare(small_fit, TIER, level="Mega", reference="Micro")}
    assert one["odds_ratio"].lower * other["odds_ratio"].upper == pytest.approx(1, rel=1e-3)  # between two draws
    assert one["difference"].lower == pytest.approx(-other["difference"].upper, rel=1e-12)


@pytest.mark.parametrize("question", ["as_bought", "engagement_constant"])
def test_two_directions_add_to_one(small_fit: Fit, question: str) -> None:
    fit = replace(small_fit, design=replace(small_fit.design, question=question))
    one = probability(fit, TIER, level="Micro", reference="Mega")
    other = probability(fit, TIER, level="Mega", reference="Micro")
    assert one.value + other.value == pytest.approx(1.0, abs=1e-12)
    assert one.mcse == pytest.approx(other.mcse)


def test_wrong_pairs_are_refused(small_fit: Fit, creator_fit: Fit) -> None:
    with pytest.raises(UsageError, match=r"^'Creator_ID' is no factor whose levels are compared; there are "):
        compare(creator_fit, "Creator_ID", level="C01", reference="C02")
    with pytest.raises(UsageError, match=r"^Influencer_Tier: 'Mid' cannot be compared with itself\.$"):
        probability(small_fit, TIER, level="Mid", reference="Mid")
    with pytest.raises(UsageError, match=r"^'Nano' is no level of Influencer_Tier; it has "):
        compare(small_fit, TIER, level="Nano", reference="Mid")
