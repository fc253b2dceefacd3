"""What a conversion is worth, from the purchases or the revenue of the posts that converted: a mean for each level.

Takes amounts of converting posts by level; gives their summary, which a file can hold, and draws made from it. Means
are partially pooled on the log scale, so that a level with few conversions does not stand alone. Knows no fee, no fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import digamma, polygamma

from influbayes.errors import UsageError
from influbayes.hierarchy.design import FloatArray

Source = Literal["Purchases", "Revenue"]

POOLING_SCALE = 1.0
"""Scale of the half-normal prior of the spread between levels, in log units: as wide as that of tier effects."""

_SCALES = np.concatenate([[0.0], np.geomspace(0.01, 6.0, 80)])
_LEAST_DISPERSION = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Converting posts of each level and their mean amount; NaN where a level has none.

    `dispersion` is the squared coefficient of variation of one post, the same for all levels, estimated with `degrees`
    of freedom. `price` is money per unit (1 for revenue, the value of a purchase for purchases); None where purchases
    are counted without money.
    """

    source: Source
    price: float | None
    labels: tuple[str, ...]
    posts: tuple[int, ...]
    means: tuple[float, ...]
    dispersion: float
    degrees: int


def summarise_amounts(
    amounts: FloatArray, levels: Sequence[str], labels: Sequence[str], *, source: Source, price: float | None = 1.0
) -> Amounts | None:
    """Return the summary of amounts (posts,) of converting posts with their levels.

    None where they say nothing of a mean's error: fewer than two posts in every level, or nothing above 0.
    """
    own = [amounts[np.asarray(levels) == label] for label in labels]
    posts = tuple(len(part) for part in own)
    means = tuple(float(part.mean()) if len(part) else float("nan") for part in own)
    usable = [part for part, mean in zip(own, means, strict=True) if mean > 0]
    degrees = sum(len(part) - 1 for part in usable)
    if degrees < 1:
        return None
    squares = sum(float(((part / part.mean() - 1) ** 2).sum()) for part in usable)
    return Amounts(
        source=source,
        price=price,
        labels=tuple(labels),
        posts=posts,
        means=means,
        dispersion=squares / degrees,
        degrees=degrees,
    )


def read_amounts(described: Mapping[str, Any]) -> Amounts:
    """Return amounts written by `describe_amounts`; a mean that is null comes back as not-a-number."""
    means = tuple(float("nan") if mean is None else float(mean) for mean in described["means"])
    kept = {name: described[name] for name in ("source", "price", "dispersion", "degrees")}
    return Amounts(labels=tuple(described["labels"]), posts=tuple(described["posts"]), means=means, **kept)


def describe_amounts(amounts: Amounts) -> dict[str, Any]:
    """Return amounts as plain data."""
    return asdict(amounts)


def draw_amounts(amounts: Amounts, *, shape: tuple[int, int], seed: int = 20260101) -> dict[str, FloatArray]:
    """Return draws (chain, draw) of the mean amount per converting post of each level, before any price.

    Parameters
    ----------
    amounts : Amounts
    shape : (chain, draw)
        Of the posterior draws they are combined with.
    seed : int

    Returns
    -------
    dict of str to ndarray
        Label -> draws above 0, in the unit of the source. A level without an amount is drawn from the population of
        levels.

    Notes
    -----
    Amounts have a mean of their level and a variance in proportion to its square (gamma quasi-likelihood), so the log
    of a level's mean given its posts is that of an inverse gamma, taken as normal with its exact mean and variance.
    Levels are Normal(m, t) on the log scale, m flat, t half-normal(1), integrated over a grid of t (Gelman et al. 2013,
    Bayesian Data Analysis, section 5.4). The dispersion is scaled inverse chi-squared.
    """
    rng = np.random.default_rng(seed)
    count = int(np.prod(shape))
    dispersion = amounts.dispersion * amounts.degrees / rng.chisquare(amounts.degrees, count)
    known = np.array([posts > 0 and mean > 0 for posts, mean in zip(amounts.posts, amounts.means, strict=True)])
    size = np.array(amounts.posts)[known] / np.maximum(dispersion, _LEAST_DISPERSION)[:, None]
    centre = np.log(np.array(amounts.means)[known]) + np.log(size) - digamma(size)
    variance = np.asarray(polygamma(1, size))
    spread = _draw_spread(centre, variance, rng)
    precision = 1 / (variance + spread[:, None] ** 2)
    total = precision.sum(axis=1)
    middle = (precision * centre).sum(axis=1) / total + rng.standard_normal(count) / np.sqrt(total)
    # The level's own mean: a precision-weighted average of what it says and of the population it comes from.
    share = spread[:, None] ** 2 * precision
    own = centre * share + middle[:, None] * (1 - share) + np.sqrt(variance * share) * rng.standard_normal(size.shape)
    logs = middle[:, None] + spread[:, None] * rng.standard_normal((count, len(known)))
    logs[:, known] = own
    return {label: np.exp(logs[:, k]).reshape(shape) for k, label in enumerate(amounts.labels)}


def price_amounts(amounts: Amounts, *, shape: tuple[int, int], seed: int = 20260101) -> dict[str, FloatArray]:
    """Return draws of what a conversion of each level brings: in money, or in purchases where they have no price."""
    price = 1.0 if amounts.price is None else amounts.price
    return {label: price * draws for label, draws in draw_amounts(amounts, shape=shape, seed=seed).items()}


def _draw_spread(centre: FloatArray, variance: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw the spread (draw,) between levels from its posterior on the grid, the mean of the levels integrated out."""
    widths = np.gradient(_SCALES)
    logs = np.empty((len(centre), len(_SCALES)))
    for k, scale in enumerate(_SCALES):
        precision = 1 / (variance + scale**2)
        total = precision.sum(axis=1)
        middle = (precision * centre).sum(axis=1) / total
        fit = 0.5 * np.log(precision).sum(axis=1) - 0.5 * (precision * (centre - middle[:, None]) ** 2).sum(axis=1)
        logs[:, k] = fit - 0.5 * np.log(total) - 0.5 * (scale / POOLING_SCALE) ** 2 + np.log(widths[k])
    weights = np.exp(logs - logs.max(axis=1, keepdims=True)).cumsum(axis=1)
    place = (weights < rng.random((len(centre), 1)) * weights[:, -1:]).sum(axis=1)
    return np.asarray(_SCALES[place])


def check_values(*, per_conversion: object, per_purchase: float | None, columns: Sequence[str]) -> None:
    """Raise UsageError where the ways to say what a conversion is worth contradict each other.

    Raises
    ------
    UsageError
        Both values given; a value of a purchase below 0 or without a column Purchases, or beside Revenue.
    """
    if per_purchase is None:
        return
    if per_conversion is not None:
        raise UsageError(
            "--value-per-conversion and --value-per-purchase are given: each says what a conversion is worth. Keep one."
        )
    if not 0 <= per_purchase < np.inf:
        raise UsageError(f"--value-per-purchase {per_purchase:g}: give an amount of money, 0 or more.")
    if "Purchases" not in columns:
        raise UsageError(
            "--value-per-purchase needs a column Purchases (purchases of each post). Add it, name yours with "
            "--map Purchases=NAME, or give --value-per-conversion."
        )
    if "Revenue" in columns:
        raise UsageError(
            "--value-per-purchase is given, and the table has a column Revenue: each says what a conversion is worth. "
            "Leave the option out to use Revenue, or remove the column."
        )
