"""Makes the text of one statement of a conversion study from its fields and the rows of the effects table it quotes.

Takes plain rows as they stand in results.json. Knows no draws and no checks: whether a statement may be made is one of
its fields. Which words fit which question is decided here, and only here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from influbayes.effects.contrasts import MEAN_OF_LEVELS
from influbayes.effects.estimands import Probability
from influbayes.gate.thresholds import UNDECIDED, band
from influbayes.gate.wording import weaker_band
from influbayes.reporting.disagreements import write_disagreement
from influbayes.reporting.setting import AS_BOUGHT, Setting, say_equal
from influbayes.reporting.wording import (
    WORDS,
    join_words,
    name_column,
    name_levels,
    say_mass,
    say_per_100,
    say_probability,
    say_ratio,
    strip_controls,
)

Fields = Mapping[str, Any]
Table = Mapping[str, Mapping[str, Any]]

_ADDED = {
    "separation": "This size rests on the prior.",
    "few_rows": "It rests on few posts.",
}
_CAVEAT = (
    "These are associations in the posts at hand, not proof of cause: posts were not assigned to creators at random, "
    "and what is not in the table may explain part of them."
)
_MANY_REASONS = 2


def write_sentence(fields: Fields, effects: Table, *, setting: Setting) -> str:
    """Return the text of a statement.

    Parameters
    ----------
    fields
        A row of `statements` in results.json; its `text` is not read.
    effects
        Id -> row of the effects table.
    setting
        Outcome and terms of the model.

    Returns
    -------
    str
        One to three plain sentences, without control characters. A withheld statement says what is withheld and why.
    """
    if fields["status"] == "withheld":
        text = f"Withheld: {_TOPICS[fields['kind']](fields, setting)}. {_say_reasons(fields['reasons'])}"
    else:
        rows = [effects[key] for key in fields["effects"]]
        added = [words for name, words in _ADDED.items() if name in fields["because"]]
        text = " ".join([_WRITERS[fields["kind"]](fields, rows, setting), *added])
    return strip_controls(text).strip()


def _say_reasons(reasons: Sequence[str]) -> str:
    shown, more = reasons[:_MANY_REASONS], len(reasons) - _MANY_REASONS
    tail = [f"And {more} more {'reason' if more == 1 else 'reasons'}, listed under the checks."] if more > 0 else []
    return " ".join([*shown, *tail])


# --- the favoured side: a sentence says which level is ahead, whichever way round the claim was made ---------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A comparison told from its favoured side: `ahead` against `behind`, with numbers turned round where needed."""

    ahead: str
    behind: str
    estimate: float
    lower: float
    upper: float
    mass: str
    band: int
    chance: str

    @property
    def is_open(self) -> bool:
        """Return whether the data do not say which is ahead."""
        return self.band == UNDECIDED

    @property
    def word(self) -> str:
        """How sure: "probably", "very probably", "almost certainly"."""
        return WORDS[self.band]


def _find_row(rows: Sequence[Mapping[str, Any]], estimand: str) -> Mapping[str, Any]:
    return next(row for row in rows if row["estimand"] == estimand)


def _turn_probability(fields: Fields, *, turned: bool) -> tuple[int, str]:
    """Return the band and the words of a probability, or of its complement."""
    value, mcse = fields["probability"], fields["mcse"]
    low, high = fields["at_least"], fields["at_most"]
    if turned:
        value, low, high = 1 - value, _complement(high), _complement(low)
    weak = fields["status"] == "weakened" and mcse is not None
    found = weaker_band(Probability(value=value, mcse=mcse)) if weak else band(value)
    return max(found, UNDECIDED) if value >= 0.5 else found, say_probability(value, at_least=low, at_most=high)


def _complement(bound: float | None) -> float | None:
    return None if bound is None else 1 - bound


def _take_side(fields: Fields, row: Mapping[str, Any]) -> Side:
    turned = fields["probability"] < 0.5
    found, chance = _turn_probability(fields, turned=turned)
    level, reference = str(row["level"]), _say_reference(row)
    numbers = (row["estimate"], row["lower"], row["upper"])
    estimate, lower, upper = _turn_numbers(*numbers, odds=row["scale"] == "odds") if turned else numbers
    return Side(
        ahead=reference if turned else level,
        behind=level if turned else reference,
        estimate=estimate,
        lower=lower,
        upper=upper,
        mass=say_mass(row["prob"]),
        band=found,
        chance=chance,
    )


def _turn_numbers(estimate: float, lower: float, upper: float, *, odds: bool) -> tuple[float, float, float]:
    if not odds:
        return -estimate, -upper, -lower
    # 1/0 cannot be written; a bound that underflowed to 0 becomes the largest ratio the text knows.
    invert = [1 / max(value, 1e-12) for value in (estimate, upper, lower)]
    return invert[0], invert[1], invert[2]


def _say_reference(row: Mapping[str, Any]) -> str:
    reference = row["reference"]
    if reference in (None, MEAN_OF_LEVELS):
        return f"the mean of the {name_levels(row['variable'])}"
    return str(reference)


def _say_range(side: Side, say: Callable[[float], str]) -> str:
    return f"{side.mass} {say(side.lower)} to {say(side.upper)}"


# --- as bought -----------------------------------------------------------------------------------------------------


def _write_difference(side: Side, setting: Setting) -> str:
    direction = "more" if side.estimate >= 0 else "fewer"
    size = say_per_100(abs(side.estimate))
    return (
        f"set to {side.ahead} instead of {side.behind}, {setting.units} are expected to bring {size} {direction} "
        f"{setting.successes} per 100 {setting.units} ({_say_range(side, say_per_100)})"
    )


def _write_open_difference(side: Side, setting: Setting) -> str:
    return (
        f"{side.ahead} and {side.behind} cannot be told apart: the expected difference, {side.ahead} minus "
        f"{side.behind}, is {say_per_100(side.estimate)} {setting.successes} per 100 {setting.units} "
        f"({_say_range(side, say_per_100)}). Probability that {side.ahead} beats {side.behind}: {side.chance}."
    )


def _write_bought(fields: Fields, rows: Sequence[Mapping[str, Any]], setting: Setting) -> str:
    side = _take_side(fields, _find_row(rows, "difference"))
    if side.is_open:
        return f"As bought, {_write_open_difference(side, setting)}"
    chance = f"{side.ahead} {side.word} beats {side.behind} (probability {side.chance})."
    return f"As bought: {_write_difference(side, setting)}. {chance}"


# --- engagement constant: "adds" is never said of a level whose engagement is held ---------------------------------


def _write_equal(fields: Fields, rows: Sequence[Mapping[str, Any]], setting: Setting) -> str:
    side = _take_side(fields, _find_row(rows, "odds_ratio"))
    equal, units = _capitalise(say_equal(setting, fields["question"])), setting.units
    if side.is_open:
        return (
            f"{equal}, {side.ahead} and {side.behind} cannot be told apart: odds ratio {say_ratio(side.estimate)} "
            f"({_say_range(side, say_ratio)}). Probability that {side.ahead} has the higher odds: {side.chance}."
        )
    return (
        f"{equal}, {side.ahead} {units} have {say_ratio(side.estimate)} times the odds of {setting.event} that "
        f"{side.behind} {units} have ({_say_range(side, say_ratio)}). {side.ahead} {side.word} has the higher odds "
        f"(probability {side.chance})."
    )


def _write_comparison(fields: Fields, rows: Sequence[Mapping[str, Any]], setting: Setting) -> str:
    write = _write_bought if fields["question"] == AS_BOUGHT else _write_equal
    return write(fields, rows, setting)


# --- steps, expected values, ranks ---------------------------------------------------------------------------------


def _write_step(fields: Fields, rows: Sequence[Mapping[str, Any]], setting: Setting) -> str:
    row, name = _find_row(rows, "odds_ratio"), name_column(fields["variable"])
    turned = fields["probability"] < 0.5
    found, chance = _turn_probability(fields, turned=turned)
    size = f"{say_ratio(row['estimate'])} ({say_ratio(row['lower'])} to {say_ratio(row['upper'])})"
    direction = "fall" if turned else "rise"
    if found == UNDECIDED:
        sure = (
            f"Whether the odds rise or fall with {name} cannot be told (probability that they {direction}: {chance})."
        )
    else:
        sure = f"The odds {WORDS[found]} {direction} with {name} (probability {chance})."
    unit = setting.units.removesuffix("s")
    # On a logarithm the worth of a step depends on where it starts; the effects start it at the mean.
    start = " than the mean" if setting.is_bent(fields["question"], fields["variable"]) else ""
    return (
        f"A {unit} with {_say_step(fields['step'], name)}{start} multiplies the odds of {setting.event} by {size}, "
        f"{_say_held(fields, setting)}. {sure}"
    )


def _say_step(step: float | None, name: str) -> str:
    if step is None:
        return f"more {name}"
    # A step the specification leaves open is one standard deviation, with digits nobody asked for.
    size = abs(step) if float(step).is_integer() else float(f"{abs(step):.3g}")
    return f"{size:,.10g} {'more' if step >= 0 else 'fewer'} {name}"


def _say_held(fields: Fields, setting: Setting) -> str:
    columns = setting.list_columns(fields["question"])
    others = [name_column(name) for name in columns if name != fields["variable"]]
    return f"holding {join_words(others)} constant" if others else "with nothing else in the model"


def _write_best(fields: Fields, rows: Sequence[Mapping[str, Any]], setting: Setting) -> str:
    what = f"highest expected {setting.successes}" if fields["question"] == AS_BOUGHT else "highest odds"
    levels, level = name_levels(fields["variable"]), fields["level"]
    found, chance = _turn_probability(fields, turned=False)
    opening = _capitalise(say_equal(setting, fields["question"]))
    if found <= UNDECIDED:
        return f"{opening}, the data do not say which of the {levels} is best; {level} leads (probability {chance})."
    return f"{opening}, {level} {WORDS[found]} has the {what} of all {levels} (probability {chance})."


def _write_expected_value(fields: Fields, rows: Sequence[Mapping[str, Any]], setting: Setting) -> str:
    row = rows[0]
    numbers = [value * 100 if row["scale"] == "probability" else value for value in _list_numbers(row)]
    estimate, lower, upper = (say_per_100(value) for value in numbers)
    opening = _capitalise(say_equal(setting, fields["question"]))
    place = "over the posts at hand" if fields["level"] is None else f"with every post set to {fields['level']}"
    return (
        f"{opening}, {place}, {estimate} {setting.successes} per 100 {setting.units} are expected "
        f"({say_mass(row['prob'])} {lower} to {upper})."
    )


def _list_numbers(row: Mapping[str, Any]) -> list[float]:
    return [row["estimate"], row["lower"], row["upper"]]


# --- statements over several contrasts or questions ----------------------------------------------------------------


def _write_no_difference(fields: Fields, rows: Sequence[Mapping[str, Any]], setting: Setting) -> str:
    levels = name_levels(fields["variable"])
    opening = _capitalise(say_equal(setting, fields["question"]))
    return f"{opening}, the {levels} cannot be told apart: every comparison lies between 20 % and 80 %."


def _write_misfit(fields: Fields, rows: Sequence[Mapping[str, Any]], setting: Setting) -> str:
    opening = _capitalise(say_equal(setting, fields["question"]))
    return f"{opening}, the shape in {name_column(fields['variable'])} does not fit. {' '.join(fields['reasons'])}"


def _write_caveat(fields: Fields, rows: Sequence[Mapping[str, Any]], setting: Setting) -> str:
    return _CAVEAT


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]


_WRITERS: dict[str, Callable[[Fields, Sequence[Mapping[str, Any]], Setting], str]] = {
    "headline": _write_comparison,
    "beats": _write_comparison,
    "step": _write_step,
    "best": _write_best,
    "expected_value": _write_expected_value,
    "no_difference": _write_no_difference,
    "disagreement": write_disagreement,
    "misfit": _write_misfit,
    "caveat": _write_caveat,
}


# --- what is withheld ----------------------------------------------------------------------------------------------


def _name_comparison(fields: Fields, setting: Setting) -> str:
    return f"whether {fields['level']} beats {_say_reference(fields)} {say_equal(setting, fields['question'])}"


def _name_step(fields: Fields, setting: Setting) -> str:
    return f"what {_say_step(fields['step'], name_column(fields['variable']))} are worth"


def _name_best(fields: Fields, setting: Setting) -> str:
    return f"which of the {name_levels(fields['variable'])} is best {say_equal(setting, fields['question'])}"


def _name_expected_value(fields: Fields, setting: Setting) -> str:
    place = "the posts at hand" if fields["level"] is None else fields["level"]
    return f"the expected {setting.successes} of {place} {say_equal(setting, fields['question'])}"


def _name_no_difference(fields: Fields, setting: Setting) -> str:
    return f"whether the {name_levels(fields['variable'])} differ {say_equal(setting, fields['question'])}"


def _name_disagreement(fields: Fields, setting: Setting) -> str:
    return f"whether the two questions rank the {name_levels(fields['variable'])} differently"


def _name_general(fields: Fields, setting: Setting) -> str:
    return "all conclusions"


_TOPICS: dict[str, Callable[[Fields, Setting], str]] = {
    "headline": _name_comparison,
    "beats": _name_comparison,
    "step": _name_step,
    "best": _name_best,
    "expected_value": _name_expected_value,
    "no_difference": _name_no_difference,
    "disagreement": _name_disagreement,
    "misfit": _name_general,
    "caveat": _name_general,
}
