"""Credit per channel by every rule, with Bayesian bootstrap intervals over users, ranks and disagreement.

Takes journeys; makes one table of credits. Credits are sign-ups shared out by a rule; they are not what a channel
caused. Source of the bootstrap: Rubin (1981), doi:10.1214/aos/1176345338.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from influbayes.attribution.journeys import (
    LOOKBACK_DAYS,
    FloatArray,
    IntArray,
    Journeys,
    SignUps,
    build_journeys,
)
from influbayes.attribution.markov import Chain, build_chain, compute_removal_effects, share_removal_effects
from influbayes.attribution.rules import RULES, TOUCH_RULES, RuleOptions, weigh_touches
from influbayes.attribution.shapley import Sets, find_sets, share_rates
from influbayes.errors import UsageError
from influbayes.tables.sessions import CHANNEL, SessionsTable

REPLICATES = 200
_BLOCK_NUMBERS = 6_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What one rule gives one channel.

    `credit` in sign-ups with its interval, `share` of all credited sign-ups (0 to 1; below 0 is possible for
    `shapley_rate` only), `value` in units of revenue. `rank` 1 is the largest; `rank_probability` is the share of
    bootstrap replicates in which it has this rank, `probability_top` in which it is first. `error` is the Monte Carlo
    standard error of `credit`, 0 where the rule is exact.
    """

    rule: str
    channel: str
    credit: float
    lower: float
    upper: float
    share: float
    share_lower: float
    share_upper: float
    value: float
    rank: int
    rank_probability: float
    probability_top: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditTable:
    """Credits of all rules over one column.

    `point` rule -> (channels,) credits in sign-ups; `draws` rule -> (replicates, channels) the same under Bayesian
    bootstrap weights of the users; `errors` rule -> (channels,) Monte Carlo standard errors.
    """

    by: str
    journeys: Journeys
    options: RuleOptions
    point: Mapping[str, FloatArray]
    draws: Mapping[str, FloatArray]
    errors: Mapping[str, FloatArray]
    rows: tuple[Credit, ...]
    replicates: int
    prob: float
    seed: int

    def pick(self, rule: str, channel: str) -> Credit:
        """Return the row of a rule and a channel."""
        return next(row for row in self.rows if (row.rule, row.channel) == (rule, channel))


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """How many sign-ups two rules give to different channels: half the sum of differences, with its interval."""

    rule: str
    other: str
    moved: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Between which rules the credit of a channel differs most, in sign-ups."""

    channel: str
    lowest_rule: str
    lowest: float
    highest_rule: str
    highest: float


def attribute_credit(
    sessions: SessionsTable,
    *,
    by: str = CHANNEL,
    rules: Sequence[str] = RULES,
    options: RuleOptions | None = None,
    lookback_days: float = LOOKBACK_DAYS,
    sign_ups: SignUps = "first",
    replicates: int = REPLICATES,
    prob: float = 0.9,
    seed: int = 20260101,
) -> CreditTable:
    """Share the sign-ups of a table of sessions out over channels, by every rule, with intervals.

    Parameters
    ----------
    sessions : SessionsTable
        From `read_sessions`.
    by : str
        Label column whose levels get the credit; the channel unless told.
    rules : sequence of str
        Names in `attribution.rules.RULES`; all unless told.
    options : RuleOptions, optional
        Half-life (168 hours), position shares (0.4, 0.4), direct channels, Markov order (1).
    lookback_days, sign_ups
        As for `build_journeys`.
    replicates : int
        Bootstrap replicates over users, 0 for none. Default 200.
    prob : float
        Mass of the equal-tailed intervals. Default 0.9.
    seed : int
        Same seed, same numbers.

    Returns
    -------
    CreditTable
        In every rule the credits sum to the credited sign-ups.

    Raises
    ------
    UsageError
        An unknown rule or column, replicates below 0 or prob outside 0 to 1.

    Examples
    --------
    >>> table = attribute_credit(read_sessions("sessions.csv"))  # doctest: +SKIP
    """
    journeys = build_journeys(sessions, by=by, lookback_days=lookback_days, sign_ups=sign_ups)
    return credit_journeys(journeys, by=by, rules=rules, options=options, replicates=replicates, prob=prob, seed=seed)


def credit_journeys(
    journeys: Journeys,
    *,
    by: str = CHANNEL,
    rules: Sequence[str] = RULES,
    options: RuleOptions | None = None,
    replicates: int = REPLICATES,
    prob: float = 0.9,
    seed: int = 20260101,
) -> CreditTable:
    """Share conversions out over the channels of journeys; parameters, result and errors as `attribute_credit`."""
    _check_request(rules, replicates, prob)
    chosen = options or RuleOptions()
    engine = _Engine.build(journeys, rules, chosen, seed)
    point, errors = engine.credit(None)
    parts = [engine.credit(weights)[0] for weights in draw_weights(journeys, replicates, seed)]
    empty = np.empty((0, len(journeys.channels)))
    draws = {rule: np.concatenate([part[rule] for part in parts]) if parts else empty for rule in rules}
    single = {rule: values[0] for rule, values in point.items()}
    return CreditTable(
        by=by,
        journeys=journeys,
        options=chosen,
        point=single,
        draws=draws,
        errors={rule: values[0] for rule, values in errors.items()},
        rows=tuple(_summarise(journeys, single, draws, {k: v[0] for k, v in errors.items()}, prob)),
        replicates=replicates,
        prob=prob,
        seed=seed,
    )


def _check_request(rules: Sequence[str], replicates: int, prob: float) -> None:
    unknown = [rule for rule in rules if rule not in RULES]
    if unknown or not rules:
        raise UsageError(f"No rule {', '.join(unknown) or '(none given)'}. There are: {', '.join(RULES)}.")
    if replicates < 0 or not 0 < prob < 1:
        raise UsageError("Replicates are 0 or more, and the mass of an interval lies between 0 and 1.")


def draw_weights(journeys: Journeys, replicates: int, seed: int) -> Iterator[FloatArray]:
    """Yield (block, journeys) Bayesian bootstrap weights: one Dirichlet weight a user, mean 1, in blocks."""
    rng = np.random.default_rng(seed)
    size = max(1, _BLOCK_NUMBERS // max(1, journeys.persons))
    for start in range(0, replicates, size):
        weights = rng.standard_exponential((min(size, replicates - start), journeys.persons))
        weights *= journeys.persons / weights.sum(axis=1, keepdims=True)
        yield weights[:, journeys.person]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Engine:
    """What every replicate shares: the credits of each converted journey by touch rules, the chain, the sets."""

    journeys: Journeys
    rules: tuple[str, ...]
    converted: IntArray
    touch_credits: FloatArray
    chain: Chain | None
    sets: Sets | None
    seed: int

    @classmethod
    def build(cls, journeys: Journeys, rules: Sequence[str], options: RuleOptions, seed: int) -> _Engine:
        converted = np.flatnonzero(journeys.conversions > 0)
        parts = [_spread_touches(journeys, converted, rule, options) for rule in rules if rule in TOUCH_RULES]
        size = len(journeys.channels)
        return cls(
            journeys=journeys,
            rules=tuple(rules),
            converted=converted,
            touch_credits=np.concatenate(parts, axis=1) if parts else np.empty((len(converted), 0 * size)),
            chain=build_chain(journeys, order=options.markov_order) if "markov" in rules else None,
            sets=find_sets(journeys) if "shapley_rate" in rules else None,
            seed=seed,
        )

    def credit(self, weights: FloatArray | None) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Return (weightings, channels) credits and their Monte Carlo errors, by rule."""
        journeys, size = self.journeys, len(self.journeys.channels)
        given = np.ones((1, len(journeys))) if weights is None else weights
        total = given @ journeys.conversions
        by_touch = given[:, self.converted] @ self.touch_credits
        touch_rules = [rule for rule in self.rules if rule in TOUCH_RULES]
        credits = {rule: by_touch[:, k * size : (k + 1) * size] for k, rule in enumerate(touch_rules)}
        errors = {rule: np.zeros_like(values) for rule, values in credits.items()}
        if self.chain is not None:
            _, effects = compute_removal_effects(self.chain, given)
            credits["markov"] = share_removal_effects(effects, total)
            errors["markov"] = np.zeros_like(effects)
        if "shapley_rate" in self.rules:
            found = share_rates(journeys, given, seed=self.seed, sets=self.sets)
            credits["shapley_rate"], errors["shapley_rate"] = found.credits, found.error
        return {rule: credits[rule] for rule in self.rules}, errors


def _spread_touches(journeys: Journeys, converted: IntArray, rule: str, options: RuleOptions) -> FloatArray:
    """Return (converted journeys, channels): conversions of each journey shared out by a touch rule."""
    place = np.full(len(journeys), -1, dtype=np.int64)
    place[converted] = np.arange(len(converted))
    size = len(journeys.channels)
    where = place[journeys.journey]
    inside = where >= 0
    weights = weigh_touches(journeys, rule, options) * journeys.conversions[journeys.journey]
    keys = where[inside] * size + journeys.channel[inside]
    return np.bincount(keys, weights[inside], len(converted) * size).reshape(len(converted), size)


def _summarise(
    journeys: Journeys,
    point: Mapping[str, FloatArray],
    draws: Mapping[str, FloatArray],
    errors: Mapping[str, FloatArray],
    prob: float,
) -> Iterator[Credit]:
    total = max(journeys.credited, 1e-300)
    worth = float(journeys.value @ journeys.conversions)
    for rule, credits in point.items():
        ranks = _rank(credits[None])[0]
        interval = _find_interval(draws[rule], prob)
        sums = draws[rule].sum(axis=1, keepdims=True)
        shares = _find_interval(draws[rule] / np.where(sums == 0, 1.0, sums), prob)
        drawn = _rank(draws[rule])
        for code, channel in enumerate(journeys.channels):
            yield Credit(
                rule=rule,
                channel=channel,
                credit=float(credits[code]),
                lower=float(interval[0][code]),
                upper=float(interval[1][code]),
                share=float(credits[code] / total),
                share_lower=float(shares[0][code]),
                share_upper=float(shares[1][code]),
                value=float(worth * credits[code] / total),
                rank=int(ranks[code]),
                rank_probability=_share(drawn[:, code] == ranks[code]),
                probability_top=_share(drawn[:, code] == 1),
                error=float(errors[rule][code]),
            )


def _share(flags: npt.NDArray[np.bool_]) -> float:
    return float(np.mean(flags)) if len(flags) else float("nan")


def _find_interval(draws: FloatArray, prob: float) -> FloatArray:
    if not len(draws):
        return np.full((2, draws.shape[1]), np.nan)
    return np.asarray(np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0), dtype=np.float64)


def _rank(credits: FloatArray) -> IntArray:
    """Return ranks, 1 the largest; ties in the order of the channels' names."""
    order = np.argsort(-credits, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, credits.shape[1] + 1)[None], axis=1)
    return np.asarray(ranks, dtype=np.int64)


def compare_rules(table: CreditTable) -> tuple[Disagreement, ...]:
    """Return, for every two rules, how many sign-ups they give to different channels; the largest first."""
    found = []
    for rule, other in combinations(table.point, 2):
        moved = 0.5 * np.abs(table.point[rule] - table.point[other]).sum()
        drawn = 0.5 * np.abs(table.draws[rule] - table.draws[other]).sum(axis=1, keepdims=True)
        lower, upper = _find_interval(drawn, table.prob)[:, 0]
        found.append(Disagreement(rule=rule, other=other, moved=float(moved), lower=float(lower), upper=float(upper)))
    return tuple(sorted(found, key=lambda row: -row.moved))


def find_spreads(table: CreditTable) -> tuple[Spread, ...]:
    """Return each channel with the rules that give it least and most; the widest first."""
    rules = list(table.point)
    credits = np.stack([table.point[rule] for rule in rules])
    low, high = credits.argmin(axis=0), credits.argmax(axis=0)
    found = [
        Spread(
            channel=channel,
            lowest_rule=rules[low[code]],
            lowest=float(credits[low[code], code]),
            highest_rule=rules[high[code]],
            highest=float(credits[high[code], code]),
        )
        for code, channel in enumerate(table.journeys.channels)
    ]
    return tuple(sorted(found, key=lambda row: row.lowest - row.highest))


def group_credits(table: CreditTable, groups: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return rule -> group -> credit for channels put together; a channel without a group is a group of its own.

    Sums per rule stay what they were.
    """
    return {rule: _sum_groups(table.journeys.channels, credits, groups) for rule, credits in table.point.items()}


def _sum_groups(channels: Sequence[str], credits: FloatArray, groups: Mapping[str, str]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for channel, credit in zip(channels, credits, strict=True):
        name = groups.get(channel, channel)
        sums[name] = sums.get(name, 0.0) + float(credit)
    return sums
