"""Two levels compared, in one call: the estimates of a pair, and the probability that one beats the other.

Takes a fit and two labels; either order is allowed. Knows no wording and no verdict: `diagnose` the fit first.
"""

from __future__ import annotations

from influbayes.effects.averages import average_posts, list_all_factors
from influbayes.effects.contrasts import contrast_levels, score_levels, subtract_levels
from influbayes.effects.estimands import Effect, Probability, check_prob, estimate_probability, estimate_rows
from influbayes.errors import UsageError
from influbayes.hierarchy.design import find_level
from influbayes.hierarchy.posterior import Fit


def compare(fit: Fit, factor: str, *, level: str, reference: str, prob: float = 0.9) -> tuple[Effect, ...]:
    """Compare two levels of an `all` factor over the posts at hand.

    Parameters
    ----------
    fit : Fit
    factor : str
        Column of the factor, for example "Influencer_Tier".
    level, reference : str
        The two levels; swapping them inverts every number.
    prob : float
        Mass of the credible interval, 0 to 1.

    Returns
    -------
    tuple of Effect
        odds_ratio, average_odds_ratio, difference (per 100 posts) and lift of `level` against `reference`.

    Raises
    ------
    UsageError
        Unknown factor or level, or a level against itself.

    Examples
    --------
    >>> compare(fit, "Influencer_Tier", level="Micro", reference="Mega")  # doctest: +SKIP
    """
    check_prob(prob)
    _check_pair(fit, factor, level, reference)
    quantities = tuple(contrast_levels(fit, average_posts(fit), factor, level, reference))
    return estimate_rows(quantities, fit.design.question, prob=prob)


def probability(fit: Fit, factor: str, *, level: str, reference: str) -> Probability:
    """Return the probability, 0 to 1, that `level` beats `reference`, with its Monte Carlo error.

    As bought: that it has the higher expected value over the posts at hand. Engagement constant: the higher odds.
    Parameters and errors as for `compare`; P(a beats b) + P(b beats a) = 1.
    """
    _check_pair(fit, factor, level, reference)
    return estimate_probability(subtract_levels(score_levels(fit)[factor], fit.design.levels[factor], level, reference))


def _check_pair(fit: Fit, factor: str, level: str, reference: str) -> None:
    if factor not in list_all_factors(fit.design):
        raise UsageError(
            f"{factor!r} is no factor whose levels are compared; there are {list_all_factors(fit.design)}."
        )
    if find_level(fit.design, factor, level) == find_level(fit.design, factor, reference):
        raise UsageError(f"{factor}: {level!r} cannot be compared with itself.")
