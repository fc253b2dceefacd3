"""Does the model describe the posts? Predictive checks of cells, tenths and creators; thinning of large fits.

Takes a fit and gives frozen numbers without judging them: thresholds belong to the gate. Every replicate comes from
`hierarchy.predict`. Where rows x draws would be too many, evenly spaced draws (or rows) are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from influbayes.effects.tails import locate_count, locate_variance
from influbayes.hierarchy.design import Design, FloatArray, IntArray, ModelRows
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.predict import LARGEST, predictive_draws, replicate_sums

PASSES = 40_000_000
"""Most rows x draws replicated for one grouping of the rows."""


_FEWEST_DRAWS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictiveCheck:
    """Observed conversions of a group of posts against replicated ones.

    `kind`: `cell` (subject "Micro:US"), `tenth` (subject "Swipe_Ups:3", tenths 1 to 10 by the raw value),
    `creator_spread` (subject "Creator_ID": variance of creator totals around their expectation), `row_spread` (the
    same of single rows of several trials: overdispersion). `tail` is the mid-p position of `observed` among the
    replicates, 0 to 1. `raw_rate` = conversions / trials of the group.
    """

    kind: Literal["cell", "tenth", "creator_spread", "row_spread"]
    subject: str
    posts: int
    observed: float
    expected: float
    lower: float
    upper: float
    tail: float
    raw_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Pool-adjacent-violators calibration of the posterior mean probabilities.

    All arrays (points,): `predicted` sorted mean probability, `observed` isotonic fit of the outcomes on it, `lower`
    and `upper` the pointwise 99 % band of replicated isotonic fits.
    """

    predicted: FloatArray
    observed: FloatArray
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grouping:
    """Rows in groups: `codes` (rows,) 0 to G - 1, one subject a group."""

    kind: Literal["cell", "tenth"]
    subjects: tuple[str, ...]
    codes: IntArray


def check_predictions(
    fit: Fit,
    *,
    seed: int,
    creators: Sequence[str] | npt.NDArray[np.str_] | None = None,
    creator_column: str = "Creator_ID",
    by: Sequence[str] = (),
    probability: float = 0.99,
) -> tuple[PredictiveCheck, ...]:
    """Compare the observed conversions of groups of posts with replicated ones.

    Parameters
    ----------
    fit : Fit
    seed : int
        Seed of the replication.
    creators : (rows,) labels, optional
        Creator (or user) of each fitted row, in the order of `fit.design.rows`: the spread of their totals is checked,
        which needs it most where the model has no creators.
    creator_column : str
        Name of what `creators` holds.
    by : sequence of str
        Further factors of the model, `all` or `sample`, each level of which is a cell, "factor:level".
    probability : float
        Mass of the central interval `lower`, `upper` of the replicates, 0 to 1.

    Returns
    -------
    tuple of PredictiveCheck
        Each cell of the first two `all` factors that has posts (each level where there is one factor), each tenth of
        every numeric column by raw value (equal values stay together, so there may be fewer), then the spread of
        creator totals, and of rows where some have several trials (one trial cannot be overdispersed). `tail` counts
        replicates below plus half of those equal; see `tails` for its ends.
    """
    thinned = thin_fit(fit, PASSES // max(1, len(fit.design.rows)))
    groupings = [*_group_cells(fit.design), *_group_levels(fit.design, by), *_group_tenths(fit.design)]
    seeds = np.random.SeedSequence(seed).generate_state(3)
    sums = replicate_sums(thinned, [grouping.codes for grouping in groupings], seed=int(seeds[0]))
    checks = [
        check
        for grouping, replicated in zip(groupings, sums, strict=True)
        for check in _check_groups(thinned, grouping, replicated, probability)
    ]
    if creators is not None:
        everyone = np.arange(len(fit.design.rows), dtype=np.int64)
        spread = _find_spread(thinned, everyone, np.asarray(creators), int(seeds[1]))
        checks.append(_check_spread("creator_spread", creator_column, *spread, probability))
    several = np.flatnonzero(fit.design.trials > 1)
    if len(several) > 1:
        spread = _find_spread(thinned, several, several, int(seeds[2]))
        checks.append(_check_spread("row_spread", "rows", *spread, probability))
    return tuple(checks)


def thin_fit(fit: Fit, most: int) -> Fit:
    """Return the fit with evenly spaced draws, at most `most` over all chains but at least 400 where it has them."""
    chains, length = fit.draws["intercept"].shape
    kept = max(1, min(length, max(most, _FEWEST_DRAWS) // chains))
    if kept == length:
        return fit
    chosen = np.linspace(0, length - 1, kept).astype(np.int64)
    return replace(fit, draws={name: array[:, chosen] for name, array in fit.draws.items()})


def keep_every(fit: Fit, step: int) -> Fit:
    """Return the fit with every `step`-th draw of each chain, as if it had been sampled so; its rungs say it."""
    kept = slice(step - 1, None, step)
    draws = {name: np.ascontiguousarray(array[:, kept]) for name, array in fit.draws.items()}
    stats = {name: np.ascontiguousarray(array[:, kept]) for name, array in fit.sample_stats.items()}
    run = replace(fit.run, draws=len(draws["intercept"][0]), rungs=(*fit.run.rungs, {"kept_every": step}))
    return replace(fit, draws=draws, sample_stats=stats, run=run)


def take_rows(rows: ModelRows, chosen: IntArray | slice) -> ModelRows:
    """Return some of the rows, in the order chosen."""
    return ModelRows(
        x=rows.x[chosen],
        raw=rows.raw[chosen],
        codes={name: codes[chosen] for name, codes in rows.codes.items()},
        conversions=None if rows.conversions is None else rows.conversions[chosen],
        trials=None if rows.trials is None else rows.trials[chosen],
    )


def _group_cells(design: Design) -> Iterator[_Grouping]:
    """Group by the first two `all` factors, or by the only one; cells without posts are left out."""
    factors = [term.column for term in design.factors if term.levels == "all"][:2]
    if not factors:
        return
    counts = [len(design.levels[name]) for name in factors]
    joint = np.ravel_multi_index([design.rows.codes[name] for name in factors], counts)
    present, codes = np.unique(joint, return_inverse=True)
    labels = [design.levels[name] for name in factors]
    places = zip(*np.unravel_index(present, counts), strict=True)
    subjects = tuple(":".join(label[place] for label, place in zip(labels, cell, strict=True)) for cell in places)
    yield _Grouping(kind="cell", subjects=subjects, codes=codes.astype(np.int64))


def _group_levels(design: Design, by: Sequence[str]) -> Iterator[_Grouping]:
    """Group by each of the factors named that is in the model."""
    for name in by:
        if name in design.levels:
            subjects = tuple(f"{name}:{level}" for level in design.levels[name])
            yield _Grouping(kind="cell", subjects=subjects, codes=design.rows.codes[name])


def _group_tenths(design: Design) -> Iterator[_Grouping]:
    for index, name in enumerate(design.numeric_names):
        tenths = number_tenths(design.rows.raw[:, index])
        present, codes = np.unique(tenths, return_inverse=True)
        yield _Grouping(
            kind="tenth", subjects=tuple(f"{name}:{tenth + 1}" for tenth in present), codes=codes.astype(np.int64)
        )


def number_tenths(raw: FloatArray) -> IntArray:
    """Return the tenth (0 to 9) of each value by the middle of its rank; equal values share one."""
    _, places, counts = np.unique(raw, return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2.0) / len(raw)
    return np.minimum((10.0 * middle).astype(np.int64), 9)[places]


def _check_groups(fit: Fit, grouping: _Grouping, sums: FloatArray, probability: float) -> Iterator[PredictiveCheck]:
    """Check every group of one grouping against its replicated sums (chain, draw, group)."""
    replicated = np.ascontiguousarray(np.moveaxis(sums, -1, 0)).reshape(len(grouping.subjects), -1)
    observed = np.bincount(grouping.codes, fit.design.conversions)
    trials = np.bincount(grouping.codes, fit.design.trials)
    posts = np.bincount(grouping.codes)
    for index, subject in enumerate(grouping.subjects):
        tail = locate_count(replicated[index], float(observed[index]), float(trials[index]))
        yield _make_check(
            grouping.kind,
            subject,
            int(posts[index]),
            float(observed[index]),
            replicated[index],
            tail=tail,
            probability=probability,
            raw_rate=float(observed[index] / trials[index]),
        )


def _make_check(
    kind: Literal["cell", "tenth", "creator_spread", "row_spread"],
    subject: str,
    posts: int,
    observed: float,
    replicated: FloatArray,
    *,
    tail: float,
    probability: float,
    raw_rate: float | None = None,
) -> PredictiveCheck:
    edge = (1.0 - probability) / 2.0
    lower, upper = np.quantile(replicated, [edge, 1.0 - edge])
    return PredictiveCheck(
        kind=kind,
        subject=subject,
        posts=posts,
        observed=observed,
        expected=float(replicated.mean()),
        lower=float(lower),
        upper=float(upper),
        tail=tail,
        raw_rate=raw_rate,
    )


def _find_spread(fit: Fit, rows: IntArray, owners: npt.NDArray[np.generic], seed: int) -> tuple[int, float, FloatArray]:
    """Return rows, and the variance of their owners' totals around expectation: observed, and (draws,) replicated.

    A few thousand owners at a time.
    """
    _, codes = np.unique(owners, return_inverse=True)
    count, draws = int(codes.max()) + 1, fit.draws["intercept"].size
    size = max(1, LARGEST // draws)
    observed, replicated = 0.0, np.zeros(draws)
    for start in range(0, count, size):
        here = np.flatnonzero((codes >= start) & (codes < start + size))
        chosen, by = rows[here], (codes[here] - start).astype(np.int64)
        totals = predictive_draws(fit, take_rows(fit.design.rows, chosen), by=by, seed=seed + start).reshape(draws, -1)
        expected = totals.mean(axis=0)
        observed += float(np.square(np.bincount(by, fit.design.conversions[chosen]) - expected).sum())
        replicated += np.square(totals - expected).sum(axis=1)
    return len(codes), observed / count, replicated / count


def _check_spread(
    kind: Literal["creator_spread", "row_spread"],
    subject: str,
    rows: int,
    observed: float,
    replicated: FloatArray,
    probability: float,
) -> PredictiveCheck:
    tail = locate_variance(replicated, observed)
    return _make_check(kind, subject, rows, observed, replicated, tail=tail, probability=probability)
