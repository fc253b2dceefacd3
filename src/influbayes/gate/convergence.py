"""Did the sampler work? Judges draws, R-hat, effective sample sizes and the sampler's own statistics.

Takes arrays, gives diagnostics whose failure withholds everything (exit code 4). Not-a-number fails. Knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from influbayes.gate.checks import Diagnostic, finite_or_none
from influbayes.gate.thresholds import MAX_DEPTH_SHARE, MAX_DIVERGENCES, MAX_RHAT, MIN_CHAINS, MIN_EBFMI, MIN_ESS

Numbers = npt.NDArray[np.float64]

_REMEDY = "Nothing is reported. Run again with more draws (for example --draws 4000) or another --seed."


def judge_draws(
    draws: Mapping[str, npt.NDArray[Any]],
    *,
    chains_asked: int,
    draws_asked: int,
    question: str,
    interrupted: bool = False,
) -> tuple[Diagnostic, Diagnostic]:
    """Judge whether all draws are there: as asked, at least four chains, all different, all moving, all finite.

    Parameters
    ----------
    draws : mapping of str to ndarray
        Variable -> (chain, draw, *dims).
    chains_asked, draws_asked : int
        What the sampler was asked for in the run that made `draws`.
    question : str
        The question the fit answers.
    interrupted : bool
        Whether the run was stopped before its end.

    Returns
    -------
    tuple of Diagnostic
        `draws_complete`, whose value is the number of draws found, and `draws_finite`, whose value is the number of
        values that are not finite. Either failing withholds everything.
    """
    fault = _find_draws_fault(draws, chains_asked, draws_asked, interrupted)
    found, asked = float(_count_draws(draws)), float(chains_asked * draws_asked)
    complete = f"All {draws_asked:,} draws of each of {chains_asked} chains are there."
    meaning = f"{fault} {_REMEDY}" if fault else complete
    return (
        _judge("draws_complete", "draws", question, fault is None, found, asked, meaning),
        _judge_finite(draws, question),
    )


def judge_convergence(
    names: Sequence[str],
    rhat: Sequence[float] | Numbers,
    ess_bulk: Sequence[float] | Numbers,
    ess_tail: Sequence[float] | Numbers,
    *,
    question: str,
) -> tuple[Diagnostic, Diagnostic, Diagnostic]:
    """Judge R-hat, bulk and tail ESS of every reported continuous quantity.

    Parameters
    ----------
    names : sequence of str
        The quantities.
    rhat, ess_bulk, ess_tail : (quantities,)
        Rank-normalised split R-hat, bulk and tail effective sample size; NaN fails.
    question : str
        The question the fit answers.

    Returns
    -------
    tuple of Diagnostic
        `rhat`, `ess_bulk`, `ess_tail`; the subject is the worst quantity. One failing quantity withholds everything.

    Raises
    ------
    ValueError
        Where the four do not have the same length.
    """
    columns = [np.asarray(column, dtype=np.float64) for column in (rhat, ess_bulk, ess_tail)]
    if any(column.shape != (len(names),) for column in columns):
        raise ValueError(f"{len(names)} names, but shapes {[column.shape for column in columns]}.")
    return (
        _judge_worst("rhat", names, columns[0], question),
        _judge_worst("ess_bulk", names, columns[1], question),
        _judge_worst("ess_tail", names, columns[2], question),
    )


def judge_sampler(
    sample_stats: Mapping[str, npt.NDArray[Any]], *, question: str, engine: str = "nuts"
) -> tuple[Diagnostic, Diagnostic, Diagnostic]:
    """Judge the sampler's own statistics: divergences, E-BFMI per chain, share of draws at the maximum tree depth.

    Parameters
    ----------
    sample_stats : mapping of str to ndarray
        `diverging`, `energy`, `maxdepth_reached`, each (chain, draw).
    question : str
        The question the fit answers.
    engine : str
        Name of the engine that drew. A statistic missing from `nuts` fails; another engine has none and is
        `not_assessed`.
    """
    return (
        _judge_statistic("divergences", "diverging", sample_stats, question, engine, _judge_divergences),
        _judge_statistic("ebfmi", "energy", sample_stats, question, engine, _judge_energy),
        _judge_statistic("tree_depth", "maxdepth_reached", sample_stats, question, engine, _judge_depth),
    )


def judge_certificate(certificate: Mapping[str, Mapping[str, Any]] | None, *, question: str) -> tuple[Diagnostic, ...]:
    """Judge the certificate of the exact engine: name -> {value, threshold, passed}; every entry must have passed."""
    if not certificate:
        meaning = f"The engine gave no certificate, so its draws cannot be trusted. {_REMEDY}"
        return (_judge("certificate", "certificate", question, False, np.nan, np.nan, meaning),)
    return tuple(_judge_entry(name, entry, question) for name, entry in certificate.items())


def _judge(
    name: str, subject: str, question: str, passed: bool, value: float, threshold: float, meaning: str
) -> Diagnostic:
    """Make the diagnostic of a check whose failure withholds everything."""
    return Diagnostic(
        name=name,
        subject=subject,
        question=question,
        status="pass" if passed else "fail",
        value=finite_or_none(value),
        threshold=finite_or_none(threshold),
        consequence="none" if passed else "all_withheld",
        meaning=meaning,
    )


def _find_draws_fault(draws: Mapping[str, npt.NDArray[Any]], chains: int, length: int, interrupted: bool) -> str | None:
    """Say in a sentence what is wrong with the draws, or None."""
    if interrupted:
        return "The run was interrupted before its end."
    if chains < MIN_CHAINS:
        return f"{chains} chains were run; at least {MIN_CHAINS} are needed to see whether they agree."
    if not draws:
        return "The sampler gave no draws."
    return _find_short(draws, chains, length) or _find_duplicated(draws) or _find_frozen(draws)


def _find_short(draws: Mapping[str, npt.NDArray[Any]], chains: int, length: int) -> str | None:
    for name, array in draws.items():
        if np.shape(array)[:2] != (chains, length):
            found = " x ".join(str(size) for size in np.shape(array)[:2]) or "a single number"
            return f"{chains} chains x {length:,} draws were asked for, but {name} has {found}."
    return None


def _find_duplicated(draws: Mapping[str, npt.NDArray[Any]]) -> str | None:
    """Identical chains agree perfectly and count double, so R-hat and ESS cannot see them."""
    for one, other in combinations(range(_count_chains(draws)), 2):
        if all(np.array_equal(array[one], array[other], equal_nan=True) for array in draws.values()):
            return f"Chains {one + 1} and {other + 1} hold the same draws."
    return None


def _find_frozen(draws: Mapping[str, npt.NDArray[Any]]) -> str | None:
    for name, array in draws.items():
        still = np.ptp(np.asarray(array, dtype=np.float64), axis=1) == 0
        if still.any():
            return f"Chain {int(np.argwhere(still)[0][0]) + 1} never moves in {name}."
    return None


def _count_chains(draws: Mapping[str, npt.NDArray[Any]]) -> int:
    shape = np.shape(next(iter(draws.values())))
    return shape[0] if shape else 0


def _count_draws(draws: Mapping[str, npt.NDArray[Any]]) -> int:
    """Draws of the variable that has the fewest, over all chains."""
    return min((int(np.prod(np.shape(array)[:2])) for array in draws.values()), default=0)


def _judge_finite(draws: Mapping[str, npt.NDArray[Any]], question: str) -> Diagnostic:
    bad = {name: int((~np.isfinite(np.asarray(array, dtype=np.float64))).sum()) for name, array in draws.items()}
    total = sum(bad.values())
    if not draws:
        return _judge("draws_finite", "draws", question, False, np.nan, 0.0, f"There are no draws. {_REMEDY}")
    worst = max(bad, key=lambda name: bad[name])
    meaning = f"{total:,} drawn values are not finite numbers, most of them in {worst}. {_REMEDY}"
    passed = "All drawn values are finite numbers."
    subject = worst if total else "draws"
    return _judge("draws_finite", subject, question, total == 0, float(total), 0.0, meaning if total else passed)


_LABELS = {"rhat": "R-hat", "ess_bulk": "Bulk ESS", "ess_tail": "Tail ESS"}
_FAULTS = {
    "rhat": "The chains do not agree",
    "ess_bulk": "There are too few independent draws",
    "ess_tail": "There are too few independent draws in the tails",
}


def _judge_worst(name: str, names: Sequence[str], values: Numbers, question: str) -> Diagnostic:
    """Judge all quantities by the worst; comparisons are written so that NaN fails them."""
    threshold = MAX_RHAT if name == "rhat" else MIN_ESS
    if not len(names):
        meaning = f"{_LABELS[name]} was computed for no quantity at all. {_REMEDY}"
        return _judge(name, "quantities", question, False, np.nan, threshold, meaning)
    passed = np.isfinite(values) & ((values <= threshold) if name == "rhat" else (values >= threshold))
    badness = np.where(np.isfinite(values), values if name == "rhat" else -values, np.inf)
    worst, failing = int(np.argmax(badness)), int((~passed).sum())
    meaning = _say_worst(name, names[worst], float(values[worst]), failing, len(names))
    return _judge(name, names[worst], question, failing == 0, float(values[worst]), threshold, meaning)


def _say_worst(name: str, subject: str, value: float, failing: int, count: int) -> str:
    limit = f"limit {MAX_RHAT}" if name == "rhat" else f"at least {MIN_ESS:.0f} needed"
    shown = "not a finite number" if not np.isfinite(value) else f"{value:.3f}" if name == "rhat" else f"{value:,.0f}"
    if not failing:
        side = "at most" if name == "rhat" else "at least"
        return f"{_LABELS[name]} is {side} {shown} in all {count} reported quantities ({limit})."
    return (
        f"{_FAULTS[name]}: {_LABELS[name]} of {subject} is {shown} ({limit}); {failing} of {count} reported quantities "
        f"fail. {_REMEDY}"
    )


def _judge_statistic(
    name: str,
    statistic: str,
    sample_stats: Mapping[str, npt.NDArray[Any]],
    question: str,
    engine: str,
    judge: Callable[[Numbers, str], Diagnostic],
) -> Diagnostic:
    values = np.asarray(sample_stats.get(statistic, ()), dtype=np.float64)
    if values.size:
        return judge(np.atleast_2d(values), question)
    if engine == "nuts":
        meaning = f"The sampler did not record {statistic}, so its draws cannot be judged. {_REMEDY}"
        return _judge(name, statistic, question, False, np.nan, np.nan, meaning)
    return Diagnostic(
        name=name,
        subject=statistic,
        question=question,
        status="not_assessed",
        value=None,
        threshold=None,
        consequence="none",
        meaning=f"The engine {engine} has no such statistic; its certificate is judged instead.",
    )


def _judge_divergences(diverging: Numbers, question: str) -> Diagnostic:
    count = float(diverging.sum())
    passed = count <= MAX_DIVERGENCES
    shown = f"{count:,.0f} of {diverging.size:,}" if np.isfinite(count) else "An unknown number of"
    failed = (
        f"{shown} draws diverged: part of the posterior was not reached, so intervals may be too narrow. Nothing is "
        "reported. A narrower scale prior in the specification or more rows helps; more draws do not."
    )
    meaning = f"None of {diverging.size:,} draws diverged." if passed else failed
    return _judge("divergences", "draws", question, passed, count, MAX_DIVERGENCES, meaning)


def _judge_energy(energy: Numbers, question: str) -> Diagnostic:
    """E-BFMI per chain: mean squared step of the energy over its variance; 0 / 0 is NaN and fails."""
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = np.square(np.diff(energy, axis=1)).sum(axis=1)
        ebfmi = steps / np.square(energy - energy.mean(axis=1, keepdims=True)).sum(axis=1)
    worst = int(np.argmin(np.where(np.isfinite(ebfmi), ebfmi, -np.inf)))
    value = float(ebfmi[worst])
    passed = np.isfinite(value) and value >= MIN_EBFMI
    shown = f"{value:.2f}" if np.isfinite(value) else "not a finite number"
    failed = (
        f"The sampler explores the tails too slowly: E-BFMI of chain {worst + 1} is {shown} (at least {MIN_EBFMI})."
    )
    meaning = f"E-BFMI is at least {shown} in every chain (at least {MIN_EBFMI} needed)."
    return _judge(
        "ebfmi", f"chain {worst + 1}", question, passed, value, MIN_EBFMI, meaning if passed else f"{failed} {_REMEDY}"
    )


def _judge_depth(reached: Numbers, question: str) -> Diagnostic:
    share = float(reached.mean())
    passed = share <= MAX_DEPTH_SHARE
    shown = f"{share * 100:.1f} %" if np.isfinite(share) else "An unknown share"
    meaning = f"{shown} of the draws ended at the maximum tree depth (limit {MAX_DEPTH_SHARE * 100:.0f} %)."
    failed = f"The sampler could not take long enough steps: {meaning} {_REMEDY}"
    return _judge("tree_depth", "draws", question, passed, share, MAX_DEPTH_SHARE, meaning if passed else failed)


def _judge_entry(name: str, entry: Mapping[str, Any], question: str) -> Diagnostic:
    """An entry passes only when it says so and its value is a finite number."""
    value = _read_number(entry, "value")
    threshold = _read_number(entry, "threshold")
    passed = entry.get("passed") is True and bool(np.isfinite(value))
    shown = f"{value:.3g}" if np.isfinite(value) else "not a finite number"
    limit = f" (threshold {threshold:.3g})" if np.isfinite(threshold) else ""
    meaning = f"Certificate of the engine, {name}: {shown}{limit}" + ("." if passed else f": failed. {_REMEDY}")
    return _judge("certificate", name, question, passed, value, threshold, meaning)


def _read_number(entry: Mapping[str, Any], key: str) -> float:
    value = entry.get(key)
    return float(value) if isinstance(value, (int, float, np.number)) else np.nan
