"""Which specification predicts left-out posts best: leave-one-out, and leaving out whole creators by refits.

Takes fits of one table, or a callable that fits part of it; gives log scores with the error of their differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, gammaln, logsumexp

from influbayes.effects.criticism import take_rows
from influbayes.effects.leave_one_out import estimate_pointwise_loo
from influbayes.errors import DataRefused, SamplingFailed, UsageError
from influbayes.hierarchy.design import Design, FloatArray, IntArray, ModelRows, build_design
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.predict import linear_predictor
from influbayes.hierarchy.spec import Question, leave_out_after_purchase, load_spec, required_columns
from influbayes.tables.posts import PostsTable

CREATORS = "Creator_ID"
FOLDS = 10
COMPARED = ("conversion", "conversion_creator", "conversion_interaction", "complete_pooling", "no_pooling")
"""Shipped specifications that describe posts; the others are for other tables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One specification: `elpd` (sum of log scores over the posts), its difference from the best and that one's error.

    `above_limit` counts posts whose leave-one-out is not reliable (Pareto k above 0.7); None for exact folds.
    """

    name: str
    elpd: float
    difference: float
    difference_se: float
    above_limit: int | None


def compare_models(fits: Mapping[str, Fit]) -> tuple[Score, ...]:
    """Compare fits of the same posts by leave-one-out, best first.

    Raises
    ------
    UsageError
        Fewer than two fits, or fits of different posts.
    """
    lines = [np.sort(fit.design.lines) for fit in fits.values()]
    if len(fits) < 2 or any(not np.array_equal(lines[0], other) for other in lines[1:]):
        raise UsageError("Compare two or more fits of the same posts.")
    pointwise: dict[str, FloatArray] = {}
    unreliable: dict[str, int | None] = {}
    for name, fit in fits.items():
        values, k = estimate_pointwise_loo(fit)
        pointwise[name] = values
        unreliable[name] = int((~(k <= 0.7)).sum())
    return rank_scores(pointwise, unreliable)


def compare_specifications(
    posts: PostsTable,
    *,
    refit: Callable[[Design], Fit],
    names: Sequence[str] = COMPARED,
    question: Question = "as_bought",
) -> tuple[Score, ...]:
    """Fit shipped specifications to a table and compare them by leave-one-out, best first.

    Those whose columns or reference the table lacks, and those the engine cannot fit, are passed over; of those that
    come to the same terms the first is kept. With fewer than two left nothing is returned.
    """
    fits: dict[str, Fit] = {}
    for name, design in build_compared(posts, names=names, question=question).items():
        with suppress(SamplingFailed):
            fits[name] = refit(design)
    return compare_models(fits) if len(fits) > 1 else ()


def build_compared(
    posts: PostsTable, *, names: Sequence[str] = COMPARED, question: Question = "as_bought"
) -> dict[str, Design]:
    """Return the designs of the specifications a table has the columns for; of those with the same terms the first."""
    found: dict[str, Design] = {}
    seen: set[object] = set()
    for name in names:
        spec = load_spec(name)
        spec = leave_out_after_purchase(spec) if question == "as_bought" else spec
        if set(required_columns(spec).labels) | set(required_columns(spec).numeric) <= set(posts.frame.columns):
            with suppress(DataRefused):
                design = build_design(posts, spec, question=question)
                terms = (design.numerics, design.factors, design.interactions)
                if terms not in seen:
                    seen.add(terms)
                    found[name] = design
    return found


def cross_validate_shipped(
    posts: PostsTable, *, refit: Callable[[Design], Fit], folds: int, seed: int = 20260101
) -> tuple[Score, ...]:
    """Compare the shipped specifications as bought by exact folds that keep every creator whole, best first.

    Parameters
    ----------
    posts : PostsTable
        With Creator_ID.
    refit : callable
        Design of some rows -> its fit.
    folds, seed
        As for `cross_validate`.

    Raises
    ------
    UsageError
        No column Creator_ID, fewer than two creators or folds.
    SamplingFailed
        As `refit` raises it: a fold left out would flatter the others.
    """
    if CREATORS not in posts.frame:
        raise UsageError("Cross-validation keeps the posts of a creator together: the table has no column Creator_ID.")
    designs = build_compared(posts)
    if len(designs) < 2:
        return ()
    in_order = posts.frame.sort_values("line")[CREATORS].to_numpy()
    codes = np.unique(in_order, return_inverse=True)[1].astype(np.int64)
    return cross_validate_specifications(designs, codes, refit=refit, folds=folds, seed=seed)


def cross_validate(
    names: Sequence[str],
    creators: IntArray,
    *,
    score: Callable[[str, IntArray], FloatArray],
    folds: int = FOLDS,
    seed: int = 20260101,
) -> tuple[Score, ...]:
    """Compare specifications by exact cross-validation that keeps every creator whole, best first.

    Parameters
    ----------
    names : sequence of str
        Specifications.
    creators : (rows,) codes
        Creator of each row; all rows of a creator are left out together.
    score : callable
        (name, rows left out) -> log scores of these rows under the fit to the others.
    folds : int
        At least 2; with fewer creators than folds each creator is a fold, so that none is empty.

    Raises
    ------
    UsageError
        Fewer than two creators or folds.
    """
    parts = split_creators(creators, folds=folds, seed=seed)
    pointwise = {}
    for name in names:
        values = np.empty(len(creators))
        for part in parts:
            values[part] = score(name, part)
        pointwise[name] = values
    return rank_scores(pointwise, dict.fromkeys(names))


def cross_validate_specifications(
    designs: Mapping[str, Design],
    creators: IntArray,
    *,
    refit: Callable[[Design], Fit],
    folds: int = FOLDS,
    seed: int = 20260101,
) -> tuple[Score, ...]:
    """Compare specifications of one table by refits that leave whole creators out, best first.

    Parameters
    ----------
    designs : mapping
        Name -> design of the whole table; levels and scaling stay as learnt from all rows.
    creators : (rows,) codes
        Creator of each row in the order of the file's lines.
    refit : callable
        Design of some rows -> its fit.
    folds, seed
        As for `cross_validate`.
    """

    def score(name: str, left_out: IntArray) -> FloatArray:
        design = designs[name]
        order = np.argsort(design.lines, kind="stable")
        kept = np.sort(np.delete(order, left_out))
        fit = refit(_drop_empty_levels(replace(design, rows=take_rows(design.rows, kept), lines=design.lines[kept])))
        if not np.array_equal(fit.design.lines, design.lines[kept]):
            # A refit that remembers fits by their model alone would score posts it has seen.
            raise ValueError("refit must fit the rows it is given.")
        rows = _forget_levels(design, take_rows(design.rows, order[left_out]))
        eta = linear_predictor(fit, rows).reshape(-1, len(left_out))
        return score_rows(eta, np.asarray(rows.conversions), np.asarray(rows.trials))

    return cross_validate(list(designs), creators, score=score, folds=folds, seed=seed)


def _drop_empty_levels(design: Design) -> Design:
    """Return the design without the levels of `sample` factors that no row has: nothing is learnt of them."""
    levels, codes = dict(design.levels), dict(design.rows.codes)
    for term in design.factors:
        if term.levels == "sample":
            present, codes[term.column] = np.unique(codes[term.column], return_inverse=True)
            levels[term.column] = tuple(levels[term.column][k] for k in present)
    return replace(design, levels=levels, rows=replace(design.rows, codes=codes))


def _forget_levels(design: Design, rows: ModelRows) -> ModelRows:
    """Rows whose levels of `sample` factors are new: drawn from the population, as those of left-out creators are."""
    new = np.full(len(rows), -1, dtype=np.int64)
    names = [term.column for term in design.factors if term.levels == "sample"]
    return replace(rows, codes={**rows.codes, **dict.fromkeys(names, new)})


def split_creators(creators: IntArray, *, folds: int, seed: int) -> list[IntArray]:
    """Return the rows of each fold: no creator in two folds, no fold empty, sizes as even as creators allow."""
    distinct, sizes = np.unique(creators, return_counts=True)
    if folds < 2 or len(distinct) < 2:
        raise UsageError(f"cross-validation needs two folds and two creators; found {folds} and {len(distinct)}.")
    count = min(folds, len(distinct))
    order = np.random.default_rng(seed).permutation(len(distinct))
    order = order[np.argsort(-sizes[order], kind="stable")]
    load = np.zeros(count)
    home: dict[int, int] = {}
    for k in order:
        smallest = int(load.argmin())
        load[smallest] += sizes[k]
        home[int(distinct[k])] = smallest
    own = np.array([home[int(code)] for code in creators])
    return [np.flatnonzero(own == fold) for fold in range(count)]


def score_rows(eta: FloatArray, conversions: IntArray, trials: IntArray) -> FloatArray:
    """Return log mean likelihood (rows,) of left-out rows from draws of eta (draws, rows)."""
    p = expit(eta)
    ways = gammaln(trials + 1.0) - gammaln(conversions + 1.0) - gammaln(trials - conversions + 1.0)
    with np.errstate(divide="ignore"):
        each = conversions * np.log(p) + np.where(trials > conversions, (trials - conversions) * np.log1p(-p), 0.0)
    return np.asarray(logsumexp(each, axis=0) - np.log(len(eta)) + ways)


def rank_scores(pointwise: Mapping[str, FloatArray], unreliable: Mapping[str, int | None]) -> tuple[Score, ...]:
    """Return the scores, best first, with the paired error of each difference from the best."""
    order = sorted(pointwise, key=lambda name: -float(pointwise[name].sum()))
    best = pointwise[order[0]]
    found = []
    for name in order:
        apart = pointwise[name] - best
        error = float(np.sqrt(len(apart)) * apart.std(ddof=1)) if len(apart) > 1 else float("nan")
        found.append(
            Score(
                name=name,
                elpd=float(pointwise[name].sum()),
                difference=float(apart.sum()),
                difference_se=error,
                above_limit=unreliable[name],
            )
        )
    return tuple(found)
