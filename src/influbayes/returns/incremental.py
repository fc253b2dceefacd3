"""Incremental returns: what exposed users spent beyond what control users did, for the exposed users there were.

(revenue per exposed user - revenue per control user) x exposed users / payout, as draws: in total by the Bayesian
bootstrap over users, by influencer from the partially pooled models, since an influencer has too few buyers for a
bootstrap to hold its level. Takes a ledger; knows no words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from influbayes.errors import UsageError
from influbayes.returns.audiences import Audience, count_audience, gather_audience, sum_by_user
from influbayes.returns.bootstrap import MOST_WEIGHTS, draw_mean
from influbayes.returns.pooling import draw_spend_of
from influbayes.returns.populations import RATE_PRIOR_SD, draw_conversions
from influbayes.tables.cells import FloatArray, IntArray
from influbayes.tables.ledger import Ledger
from influbayes.tables.ledger_checks import has_non_buyers, list_both_groups

INCREMENTAL, AMONG_BUYERS = "incremental", "among buyers, not incremental"
OWN, POPULATION, SHARED = "own", "population", "shared"
CONTROL_WORDS = {
    OWN: "its own control users, partially pooled with those of the other influencers",
    POPULATION: "the population of control users, as no control user names it",
    SHARED: "all control users, as control rows name no influencer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSizes:
    """How many users each group had, buyers and others, where the ledger holds buyers only."""

    exposed: int
    control: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Incremental:
    """Draws of incremental revenue, in currency.

    `label` is "incremental" or "among buyers, not incremental"; `total` (draws,); `influencers` (draws, influencers) or
    None where they cannot be had, and `why_not` says why; `control` (influencers,) is the kind of control of each.
    `exposed_mean`, `control_mean` are raw revenue per user; `left_out` users stood in both groups.
    """

    label: str
    total: FloatArray
    influencers: FloatArray | None
    why_not: str
    control: tuple[str, ...]
    control_users: IntArray
    exposed_users: int
    all_control_users: int
    exposed_mean: float
    control_mean: float
    left_out: int


def estimate_incremental(
    ledger: Ledger, *, sizes: GroupSizes | None, draws: int, rng: np.random.Generator, prior_factor: float = 1.0
) -> Incremental | None:
    """Return the incremental revenue of a ledger, None where it has no control or no exposed users.

    Raises
    ------
    UsageError
        A group size is smaller than the number of its buyers, or sizes are given for a ledger that knows non-buyers.
    """
    both = list_both_groups(ledger.orders).astype(np.int64)
    return compare_audiences(
        gather_audience(ledger, "exposed", leave_out=both),
        gather_audience(ledger, "control", leave_out=both),
        len(ledger.influencers),
        known=has_non_buyers(ledger.orders),
        left_out=len(both),
        sizes=sizes,
        draws=draws,
        rng=rng,
        prior_factor=prior_factor,
    )


def compare_audiences(
    exposed: Audience,
    control: Audience,
    influencers: int,
    *,
    known: bool,
    left_out: int,
    sizes: GroupSizes | None,
    draws: int,
    rng: np.random.Generator,
    prior_factor: float = 1.0,
    most_weights: int = MOST_WEIGHTS,
) -> Incremental | None:
    """Return the incremental revenue of exposed over control users; see `estimate_incremental`, `draw_mean`.

    `known`: whether users who bought nothing are among them; `left_out`: users in both groups, in neither audience.
    """
    if not len(exposed.user) or not len(control.user):
        return None
    spent, base = sum_by_user(exposed), sum_by_user(control)
    _require_sizes(sizes, known=known, exposed=len(spent), control=len(base))
    reached = sizes.exposed if sizes else len(spent)
    held = sizes.control if sizes else len(base)
    total = reached * (
        draw_mean(spent, users=reached, draws=draws, rng=rng, most_weights=most_weights)
        - draw_mean(base, users=held, draws=draws, rng=rng, most_weights=most_weights)
    )
    by_influencer, why = None, ""
    if known:
        by_influencer = _draw_influencers(exposed, control, influencers, draws, rng, prior_factor, most_weights)
    else:
        why = "Group sizes are known in total only." if sizes else "The ledger holds buyers only."
    own = np.bincount(control.owner[control.owner >= 0], minlength=influencers)
    return Incremental(
        label=INCREMENTAL if known or sizes else AMONG_BUYERS,
        total=total,
        influencers=by_influencer,
        why_not=why,
        control=_name_controls(own),
        control_users=own.astype(np.int64),
        exposed_users=reached,
        all_control_users=held,
        exposed_mean=float(spent.sum()) / reached,
        control_mean=float(base.sum()) / held,
        left_out=left_out,
    )


def _require_sizes(sizes: GroupSizes | None, *, known: bool, exposed: int, control: int) -> None:
    if sizes is None:
        return
    if known:
        raise UsageError("The ledger knows users who bought nothing, so group sizes are counted, not given.")
    for name, given, seen in (("exposed", sizes.exposed, exposed), ("control", sizes.control, control)):
        if given < seen:
            raise UsageError(f"--{name}-users {given:,} is fewer than the {seen:,} {name} users who bought.")


def _name_controls(own: IntArray) -> tuple[str, ...]:
    if not own.any():
        return (SHARED,) * len(own)
    return tuple(OWN if count else POPULATION for count in own)


def _draw_influencers(
    exposed: Audience,
    control: Audience,
    count: int,
    draws: int,
    rng: np.random.Generator,
    prior_factor: float,
    most_weights: int,
) -> FloatArray:
    users = count_audience(exposed, count).users
    per_user = draw_revenue_per_user(
        exposed, count, draws=draws, rng=rng, prior_factor=prior_factor, most_weights=most_weights
    )
    if (control.owner >= 0).any():
        base = draw_revenue_per_user(
            control, count, draws=draws, rng=rng, prior_factor=prior_factor, most_weights=most_weights
        )
    else:
        base = draw_mean(sum_by_user(control), draws=draws, rng=rng, most_weights=most_weights)[:, None]
    return (per_user - base) * users


def draw_revenue_per_user(
    audience: Audience,
    influencers: int,
    *,
    draws: int,
    rng: np.random.Generator,
    prior_factor: float = 1.0,
    most_weights: int = MOST_WEIGHTS,
) -> FloatArray:
    """Return (draws, influencers) revenue per user: conversion rate times spend per buyer, both partially pooled."""
    counts = count_audience(audience, influencers)
    rates = draw_conversions(counts.buyers, counts.users, draws=draws, rng=rng, prior_sd=prior_factor * RATE_PRIOR_SD)
    spend = draw_spend_of(counts, draws=draws, rng=rng, prior_factor=prior_factor, most_weights=most_weights)
    return rates.draws * spend.draws
