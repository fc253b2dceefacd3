"""May this statement be worded, and how strongly? Judges Monte Carlo error and sensitivity to the priors.

Takes probabilities before and after a change of prior, gives diagnostics and the wording band. Knows no model and
writes no statement: words belong to the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, floor, isfinite, nan

from influbayes.effects.estimands import Probability
from influbayes.effects.sensitivity import PriorShift
from influbayes.gate.checks import Consequence, Diagnostic, Status, finite_or_none
from influbayes.gate.subjects import POSTS, Subject
from influbayes.gate.thresholds import CUT_DISTANCE, CUTS, MAX_CUTS_MOVED, MAX_PROBABILITY_MCSE, UNDECIDED, band


def judge_probability(claim_id: str, probability: Probability, *, question: str) -> Diagnostic:
    """Judge whether the Monte Carlo error of a probability is small enough for its words.

    Parameters
    ----------
    claim_id : str
        The claim the probability belongs to.
    probability : Probability
        Its value and Monte Carlo standard error.
    question : str
        The question the claim answers.

    Returns
    -------
    Diagnostic
        `probability_error`: passes with an error up to 0.01, or more than 3 errors from every wording cut; else warns
        that the weaker word is used (see `weaker_band`). A probability or error that is not a number withholds the
        statement.
    """
    if not _is_usable(probability):
        meaning = "The probability or its Monte Carlo error could not be computed, so the statement is withheld."
        return _judge_statement("probability_error", claim_id, question, "fail", nan, MAX_PROBABILITY_MCSE, meaning)
    error, cut = probability.mcse, _nearest_cut(probability.value)
    shown = (
        f"The probability is {say_probability(probability.value)} with a Monte Carlo error of {error * 100:.1f} points"
    )
    if error <= MAX_PROBABILITY_MCSE or abs(probability.value - cut) > CUT_DISTANCE * error:
        return _judge_statement(
            "probability_error", claim_id, question, "pass", error, MAX_PROBABILITY_MCSE, f"{shown}."
        )
    meaning = f"{shown}, too near to {cut * 100:.0f} % to choose between two wordings: the weaker one is used."
    meaning += " More draws settle it (for example --draws 4000)."
    return _judge_statement("probability_error", claim_id, question, "warn", error, MAX_PROBABILITY_MCSE, meaning)


def weaker_band(probability: Probability) -> int:
    """Return the wording band a probability may use: its own, or the least decided one within 3 Monte Carlo errors.

    Raises
    ------
    ValueError
        Where the probability or its error is not a number.
    """
    if not _is_usable(probability):
        raise ValueError(f"{probability} cannot be worded.")
    own = band(probability.value)
    reach = CUT_DISTANCE * probability.mcse
    if probability.mcse <= MAX_PROBABILITY_MCSE:
        return own
    low, high = band(max(0.0, probability.value - reach)), band(min(1.0, probability.value + reach))
    return min(range(low, high + 1), key=lambda index: abs(index - UNDECIDED))


def judge_sensitivity(
    shifts: Iterable[PriorShift], *, question: str, claim_ids: Sequence[str], subject: Subject = POSTS
) -> tuple[Diagnostic, ...]:
    """Judge, claim by claim, whether halving or doubling a prior scale flips it.

    Parameters
    ----------
    shifts : iterable of PriorShift
        Probabilities before and after each change of a prior scale.
    question : str
        The question the claims answer.
    claim_ids : sequence of str
        Every claim that may be stated. One that was not assessed is withheld.
    subject : Subject
        What rows are called.

    Returns
    -------
    tuple of Diagnostic
        One `sensitivity` a claim. It fails, and the statement is withheld, where a probability crosses 0.5 or moves by
        more than one wording cut; `value` is the probability after the change that moved it most.
    """
    grouped: dict[str, list[PriorShift]] = {identity: [] for identity in claim_ids}
    for shift in shifts:
        grouped.setdefault(shift.claim_id, []).append(shift)
    return tuple(_judge_shifts(identity, items, question, subject) for identity, items in grouped.items())


def is_flipped(before: float, after: float) -> bool:
    """Return whether a probability crosses 0.5 or moves by more than one wording cut; not-a-number is a flip.

    A crossing by less than the Monte Carlo error a probability may have (0.499 to 0.501) is no change of side.
    """
    if not (isfinite(before) and isfinite(after)):
        return True
    crossed = (before - 0.5) * (after - 0.5) < 0 and abs(after - before) > MAX_PROBABILITY_MCSE
    return crossed or abs(band(before) - band(after)) > MAX_CUTS_MOVED


def say_probability(value: float, *, at_least: float | None = None, at_most: float | None = None) -> str:
    """Return a probability as per cent: "97 %", "99.4 %", "above 99.9 %", "below 0.1 %", "unknown"; never 0 or 100 %.

    Whole numbers, with one decimal below 1 % and from 98.5 %: the one rule of diagnostics, statements and tables.
    `at_least` and `at_most` are one-sided bounds, given where few draws lie on one side; the text then claims no more
    than the bound supports.
    """
    if not isfinite(value):
        return "unknown"
    if value > 0.5 and at_least is not None:
        return f"above {_floor_percent(_clamp(at_least))} %"
    if value < 0.5 and at_most is not None:
        return f"below {_ceil_percent(_clamp(at_most))} %"
    if value >= 0.999:
        return "above 99.9 %"
    if value <= 0.001:
        return "below 0.1 %"
    if 0.01 <= value < 0.985:
        return f"{100 * value:.0f} %"
    return f"{min(max(100 * value, 0.1), 99.9):.1f} %"


def _clamp(bound: float) -> float:
    return min(max(bound, 0.001), 0.999)


def _floor_percent(probability: float) -> str:
    return f"{floor(probability * 1000 + 1e-9) / 10:.1f}"


def _ceil_percent(probability: float) -> str:
    return f"{ceil(probability * 1000 - 1e-9) / 10:.1f}"


def _is_usable(probability: Probability) -> bool:
    return 0.0 <= probability.value <= 1.0 and isfinite(probability.mcse) and probability.mcse >= 0.0


def _nearest_cut(probability: float) -> float:
    return min(CUTS, key=lambda cut: abs(cut - probability))


def _judge_statement(
    name: str, subject: str, question: str, status: Status, value: float, threshold: float, meaning: str
) -> Diagnostic:
    consequences: dict[Status, Consequence] = {"warn": "words_added", "fail": "statement_withheld"}
    return Diagnostic(
        name=name,
        subject=subject,
        question=question,
        status=status,
        value=finite_or_none(value),
        threshold=finite_or_none(threshold),
        consequence=consequences.get(status, "none"),
        meaning=meaning,
    )


def _judge_shifts(claim_id: str, shifts: Sequence[PriorShift], question: str, subject: Subject) -> Diagnostic:
    if not shifts:
        meaning = "It was not tested whether this statement depends on the priors, so it is withheld."
        return _judge_statement("sensitivity", claim_id, question, "fail", nan, 0.5, meaning)
    flips = [shift for shift in shifts if is_flipped(shift.probability_before, shift.probability_after)]
    worst = max(flips or shifts, key=_movement)
    status: Status = "fail" if flips else "pass"
    meaning = _say_flip(worst, subject) if flips else _say_steady(worst)
    return _judge_statement("sensitivity", claim_id, question, status, worst.probability_after, 0.5, meaning)


def _movement(shift: PriorShift) -> float:
    moved = abs(shift.probability_after - shift.probability_before)
    return moved if isfinite(moved) else 2.0


def _say_change(shift: PriorShift) -> str:
    ends = (shift.probability_before, shift.probability_after)
    before, after = (say_probability(end) for end in ends)
    if "50 %" in (before, after) and min(ends) < 0.5 < max(ends):
        before, after = (f"{100 * end:.1f} %" for end in ends)  # 50 % would hide on which side it is
    if before == after:
        return f"{_say_case(shift)}, the probability stays near {before}"
    return f"{_say_case(shift)}, the probability goes from {before} to {after}"


def _say_case(shift: PriorShift) -> str:
    done = "halved" if shift.factor < 1 else "doubled"
    return f"with the scale of the prior of {_say_prior(shift.prior)} {done}"


def _say_prior(name: str) -> str:
    """Write the name of a prior as the report does: "the intercept", "Swipe_Ups", "Tier", "Tier with Region"."""
    if name == "intercept":
        return "the intercept"
    if name.startswith("slope["):
        return name[len("slope[") : -1]
    return name.removeprefix("scale_").replace("__x__", " with ")


def _say_flip(shift: PriorShift, subject: Subject) -> str:
    if not isfinite(shift.probability_after):
        return f"The statement is withheld: its probability {_say_case(shift)} could not be computed."
    what = "which side leads" if band(shift.probability_before) == band(shift.probability_after) == UNDECIDED else "it"
    return (
        f"The statement is withheld because the prior decides {what}: {_say_change(shift)}. More {subject.rows} would "
        "settle it."
    )


def _say_steady(shift: PriorShift) -> str:
    return f"The statement holds whether prior scales are halved or doubled; at most, {_say_change(shift)}."
