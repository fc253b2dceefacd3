"""Rules that share a sign-up out over the touches of its journey: last, first, linear, time decay, position, Shapley.

Each rule takes journeys and makes one weight a touch, which sum to 1 in every journey. Credits of any grouping of
touches are sums of these weights, so that nothing is lost in grouping.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from influbayes.attribution.journeys import FloatArray, IntArray, Journeys
from influbayes.errors import UsageError

HALF_LIFE_HOURS = 168.0  # one week: the one half-life of time decay, everywhere
DIRECT_NAMES = frozenset(("direct", "(direct)", "none", "(none)", "(direct) / (none)", "(missing)"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOptions:
    """What rules can be told: half-life of time decay, shares of the first and last touch, which channels are direct.

    `direct` None means the usual names (direct, none, missing), whatever the case.
    """

    half_life_hours: float = HALF_LIFE_HOURS
    first_share: float = 0.4
    last_share: float = 0.4
    direct: frozenset[str] | None = None
    markov_order: int = 1

    def __post_init__(self) -> None:
        if not self.half_life_hours > 0:
            raise UsageError(f"A half-life of {self.half_life_hours:g} hours is not possible. Give more than 0.")
        if min(self.first_share, self.last_share) < 0 or not 0 < self.first_share + self.last_share <= 1:
            raise UsageError("The shares of the first and the last touch are 0 or more and sum to at most 1.")
        if not 1 <= self.markov_order <= 6:
            raise UsageError(f"Markov order {self.markov_order}: give a whole number from 1 to 6.")

    def find_direct(self, channels: tuple[str, ...]) -> tuple[str, ...]:
        """Return which of the channels count as direct."""
        if self.direct is None:
            return tuple(name for name in channels if name.casefold() in DIRECT_NAMES)
        return tuple(name for name in channels if name in self.direct)


Rule = Callable[[Journeys, RuleOptions], FloatArray]


def weigh_last(journeys: Journeys, options: RuleOptions) -> FloatArray:
    """All to the last touch."""
    return _mark(journeys, journeys.starts + journeys.lengths - 1)


def weigh_first(journeys: Journeys, options: RuleOptions) -> FloatArray:
    """All to the first touch."""
    return _mark(journeys, journeys.starts)


def weigh_last_non_direct(journeys: Journeys, options: RuleOptions) -> FloatArray:
    """All to the last touch that is not direct; to the last where all are direct."""
    names = set(options.find_direct(journeys.channels))
    direct = np.array([name in names for name in journeys.channels], dtype=np.bool_)[journeys.channel]
    places = np.where(direct, -1, np.arange(len(journeys.channel)))
    chosen = np.maximum.reduceat(places, journeys.starts)
    return _mark(journeys, np.where(chosen < 0, journeys.starts + journeys.lengths - 1, chosen))


def weigh_linear(journeys: Journeys, options: RuleOptions) -> FloatArray:
    """Equal shares to all touches; a channel that is touched twice gets two."""
    return np.asarray(1.0 / journeys.lengths[journeys.journey], dtype=np.float64)


def weigh_time_decay(journeys: Journeys, options: RuleOptions) -> FloatArray:
    """Shares that halve with every half-life before the end of the journey."""
    nearest = np.minimum.reduceat(journeys.hours, journeys.starts)
    # Measured from the nearest touch: 2^-x of a journey that ended years after its touches would be 0 / 0.
    return _normalise(journeys, np.exp2(-(journeys.hours - nearest[journeys.journey]) / options.half_life_hours))


def weigh_position(journeys: Journeys, options: RuleOptions) -> FloatArray:
    """Set shares to first and last touch, the rest equally between; two touches in the proportion of these shares."""
    lengths = journeys.lengths
    middle = 1.0 - options.first_share - options.last_share
    inner = np.maximum(lengths - 2, 1)[journeys.journey]
    weights = np.where(lengths[journeys.journey] > 2, middle / inner, 0.0)
    starts, ends = journeys.starts, journeys.starts + lengths - 1
    weights[starts], weights[ends] = options.first_share, options.last_share
    weights[starts[lengths == 1]] = 1.0
    return _normalise(journeys, weights)


def weigh_shapley(journeys: Journeys, options: RuleOptions) -> FloatArray:
    """Shapley value where a set of channels is worth the sign-ups of all journeys that lie inside it.

    In that game each journey is worth its sign-ups to its own set of channels and nothing to a smaller one, a unanimity
    game, whose Shapley value is an equal share to each of its members: exact for any number of channels. A channel
    touched twice counts once; its share stands at its first touch.
    """
    keys = journeys.journey * len(journeys.channels) + journeys.channel
    _, first = np.unique(keys, return_index=True)
    return _normalise(journeys, _mark(journeys, first))


def _mark(journeys: Journeys, places: IntArray) -> FloatArray:
    weights = np.zeros(len(journeys.channel))
    weights[places] = 1.0
    return weights


def _normalise(journeys: Journeys, weights: FloatArray) -> FloatArray:
    sums = np.add.reduceat(weights, journeys.starts)
    return np.asarray(weights / sums[journeys.journey], dtype=np.float64)


TOUCH_RULES: Mapping[str, Rule] = {
    "last": weigh_last,
    "first": weigh_first,
    "linear": weigh_linear,
    "time_decay": weigh_time_decay,
    "position": weigh_position,
    "last_non_direct": weigh_last_non_direct,
    "shapley": weigh_shapley,
}
CHAIN_RULES = ("markov", "shapley_rate")
RULES = (*TOUCH_RULES, *CHAIN_RULES)

# Rule -> (its name in words, what it does, the question it answers).
QUESTIONS: Mapping[str, tuple[str, str, str]] = {
    "last": ("last touch", "all to the last touch", "What was there when people signed up? Good for immediate sales."),
    "first": ("first touch", "all to the first touch", "What brings new people in? Good for awareness."),
    "linear": ("linear", "equal shares to all touches", "What accompanies people who sign up, wherever it stands?"),
    "time_decay": (
        "time decay",
        f"shares halve every {HALF_LIFE_HOURS / 24:g} days before the sign-up",
        "What was there in the days before? Good for short campaigns.",
    ),
    "position": (
        "position based",
        "40 % to the first, 40 % to the last, 20 % between",
        "What opens and what closes, both weighted?",
    ),
    "last_non_direct": (
        "last non-direct",
        "all to the last touch that is not direct",
        "What last brought people by our own doing, visits from memory aside?",
    ),
    "shapley": (
        "Shapley counts",
        "equal shares to the channels of a journey",
        "What does a channel add to the sets it is found in, repeats aside?",
    ),
    "markov": (
        "Markov removal",
        "by how much fewer journeys would end in a sign-up if all paths through a channel broke off",
        "Which channels do paths to a sign-up depend on?",
    ),
    "shapley_rate": (
        "Shapley rates",
        "by what a channel adds to the sign-up rate of a set of channels, averaged over orders",
        "Whose presence goes with a higher sign-up rate? It may be below 0.",
    ),
}


def weigh_touches(journeys: Journeys, rule: str, options: RuleOptions | None = None) -> FloatArray:
    """Return (touches,) shares of a rule, summing to 1 in every journey.

    Raises
    ------
    UsageError
        `rule` is not one of the rules that look at touches.
    """
    if rule not in TOUCH_RULES:
        raise UsageError(f"No rule {rule!r} over touches. There are: {', '.join(TOUCH_RULES)}.")
    return TOUCH_RULES[rule](journeys, options or RuleOptions())
