"""One table of a specification file, read key by key: each reader returns the value, or None and a fault with its line.

Knows TOML values and the wording of refusals; knows nothing of which terms a specification has.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from influbayes.hierarchy.terms import NormalPrior, ScaleFamily, ScalePrior
from influbayes.hierarchy.toml_lines import KeyPath
from influbayes.tables.problems import Problem

SCALE_FAMILIES: Mapping[ScaleFamily, tuple[str, ...]] = {
    "half_normal": ("s",),
    "exponential": ("rate",),
    "half_cauchy": ("s",),
    "half_student_t": ("df", "s"),
}
LONGEST_VALUE = 60
LONGEST_MESSAGE = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What is wrong with one file so far, and where its keys stand."""

    file: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, path: KeyPath, reason: str, *, value: object = None) -> None:
        """Note that the key at `path` cannot be used; a key that is absent is placed at the table that lacks it."""
        line = next(self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines)
        problem = Problem(
            code="IB-F09",
            rule="refuse",
            file=self.file,
            column=name_path(path) or None,
            lines=(line,),
            value=None if value is None else quote_value(value),
            message=shorten(f"line {line}: {reason}", LONGEST_MESSAGE),
        )
        self.problems.append(problem)

    def in_line_order(self) -> list[Problem]:
        """Return the problems as they stand in the file."""
        return sorted(self.problems, key=lambda problem: problem.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One TOML table: its values, its path, and the faults it adds to."""

    values: Mapping[str, object]
    path: KeyPath
    faults: Faults

    def refuse(self, key: str | None, reason: str, *, value: object = None) -> None:
        """Note a fault of `key`, or of the whole table where `key` is None."""
        self.faults.refuse(self.path if key is None else (*self.path, key), reason, value=value)

    def refuse_unknown_keys(self, allowed: Sequence[str]) -> None:
        """Note every key that is not in `allowed`, with the nearest name."""
        for key, value in self.values.items():
            if key not in allowed:
                self.refuse(key, f"unknown key {quote_value(key)}.{suggest(key, allowed)}", value=value)

    def table(self, key: str, *, remedy: str) -> Entry | None:
        """Return the table under `key`, or note that it is missing or no table."""
        value = self.values.get(key)
        if isinstance(value, Mapping):
            return Entry(values=value, path=(*self.path, key), faults=self.faults)
        self.refuse(key, f"{'missing' if value is None else 'not a table'}. {remedy}", value=value)
        return None

    def tables(self, key: str) -> Iterator[Entry]:
        """Yield the tables of the array under `key`; anything else there is a fault."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            self.refuse(key, f"a single table. Every {key} begins with [[{key}]], in double brackets.")
            return
        for position, item in enumerate(value):
            path = (*self.path, key, position)
            if isinstance(item, Mapping):
                yield Entry(values=item, path=path, faults=self.faults)
            else:
                self.faults.refuse(path, f"not a table. Every {key} begins with [[{key}]].", value=item)


def name_path(path: KeyPath) -> str:
    """Return the dotted name of a path, elements counted from 1: `numeric[2].prior.normal`."""
    parts = [f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".")


def quote_value(value: object) -> str:
    """Return a value as it may be shown: quoted where text, control characters escaped, cut at 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print whole numbers of more than 4,300 digits
        text = "a number of thousands of digits"
    return shorten(text, LONGEST_VALUE)


def shorten(text: str, longest: int) -> str:
    """Return the text with everything unprintable escaped, cut to `longest` characters."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."


def suggest(name: str, allowed: Sequence[str]) -> str:
    """Return " Did you mean ...? Allowed: ..." for a name that is not allowed."""
    near = difflib.get_close_matches(name.lower(), allowed, n=2, cutoff=0.6)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"{hint} Allowed here: {', '.join(allowed)}."


def read_text(entry: Entry, key: str) -> str | None:
    """Return the printable, non-blank text under `key`."""
    value = entry.values.get(key)
    if isinstance(value, str) and value.strip() and value.isprintable():
        return value
    reason = "missing" if key not in entry.values else f"{quote_value(value)} is not a plain, non-empty text in quotes"
    entry.refuse(key, f'{reason}. Write {key} = "...".', value=value)
    return None


def read_column(entry: Entry, key: str) -> str | None:
    """Return the column name under `key`; blanks around a name never match a header, so they are a fault."""
    name = read_text(entry, key)
    if name is not None and name != name.strip():
        entry.refuse(
            key, f"{quote_value(name)} begins or ends with a blank. Write {key} = {quote_value(name.strip())}."
        )
        return None
    return name


def read_choice(entry: Entry, key: str, choices: Sequence[str], *, default: str | None = None) -> str | None:
    """Return the word under `key`, one of `choices`; a missing key gives `default`, or a fault without one."""
    if key not in entry.values and default is not None:
        return default
    value = entry.values.get(key)
    if isinstance(value, str) and value in choices:
        return value
    reason = "missing." if value is None else f"{quote_value(value)} is unknown."
    hint = suggest(value, choices) if isinstance(value, str) else f" Allowed here: {', '.join(choices)}."
    entry.refuse(key, f"{reason}{hint}", value=value)
    return None


def read_positive(entry: Entry, key: str) -> float | None:
    """Return the finite number above 0 under `key`."""
    value = entry.values.get(key)
    number = as_number(value)
    if number is not None and number > 0:
        return number
    entry.refuse(key, f"{quote_value(value)} is not a finite number above 0. Write for example {key} = 1.", value=value)
    return None


def read_pair(entry: Entry, key: str) -> tuple[str, str] | None:
    """Return the two different names in the list under `key`."""
    value = entry.values.get(key)
    if isinstance(value, list) and len(value) == 2 and all(isinstance(name, str) for name in value):
        if value[0] != value[1]:
            return value[0], value[1]
        entry.refuse(key, f"{quote_value(value[0])} with itself. Name two different factors.", value=value)
        return None
    reason = "missing" if value is None else f"{quote_value(value)} is not a list of two names"
    entry.refuse(key, f'{reason}. Write {key} = ["FACTOR", "FACTOR"].', value=value)
    return None


def read_normal_prior(entry: Entry, key: str) -> NormalPrior | None:
    """Return the prior `{ normal = [mean, sd] }` under `key`."""
    prior = entry.table(key, remedy=f"Write {key} = {{ normal = [0, 1] }}.")
    if prior is None or not _has_one_family(prior, ("normal",)):
        return None
    value = prior.values["normal"]
    numbers = _read_numbers(value, count=2)
    if numbers is not None and numbers[1] > 0:
        return NormalPrior(mean=numbers[0], sd=numbers[1])
    reason = f"{quote_value(value)} is not [mean, sd], two finite numbers with sd above 0. Write for example [0, 1]."
    prior.refuse("normal", reason, value=value)
    return None


def read_scale(entry: Entry) -> tuple[ScalePrior | None, float | None]:
    """Return the prior of the scale and the fixed scale: exactly one of them is given, else a fault is noted."""
    given = [key for key in ("scale_prior", "scale") if key in entry.values]
    if len(given) == 1:
        if given == ["scale"]:
            return None, read_positive(entry, "scale")
        return _read_scale_prior(entry), None
    reason = "both scale_prior and scale are given" if given else "neither scale_prior nor scale is given"
    remedy = "Give one: scale_prior = { half_normal = 1 } (partial pooling) or scale = 2.5 (fixed: no pooling)."
    entry.refuse(given[-1] if given else "scale_prior", f"{reason}. {remedy}")
    return None, None


def _read_scale_prior(entry: Entry) -> ScalePrior | None:
    prior = entry.table("scale_prior", remedy="Write scale_prior = { half_normal = 1 }.")
    if prior is None or not _has_one_family(prior, tuple(SCALE_FAMILIES)):
        return None
    family = next(name for name in SCALE_FAMILIES if name in prior.values)
    value, wanted = prior.values[family], SCALE_FAMILIES[family]
    numbers = _read_numbers(value, count=len(wanted))
    if numbers is not None and min(numbers) > 0:
        return ScalePrior(family=family, parameters=numbers)
    form = "one finite number above 0" if len(wanted) == 1 else f"[{', '.join(wanted)}], finite numbers above 0"
    prior.refuse(family, f"{quote_value(value)} is not {form}. Write for example {_example(family)}.", value=value)
    return None


def _example(family: ScaleFamily) -> str:
    return f"{family} = {'[4, 1]' if len(SCALE_FAMILIES[family]) == 2 else '1'}"


def _has_one_family(prior: Entry, families: Sequence[str]) -> bool:
    """Tell whether the prior names one family, and nothing else; note a fault where not."""
    prior.refuse_unknown_keys(families)
    named = [family for family in families if family in prior.values]
    if len(named) > 1:
        prior.refuse(None, f"{' and '.join(named)} are both given. Keep one family.")
    if not prior.values:
        prior.refuse(None, f"no family. Give one of {', '.join(families)}.")
    return len(named) == 1 and len(prior.values) == 1


def _read_numbers(value: object, *, count: int) -> tuple[float, ...] | None:
    """Return `count` finite numbers from a list, or from a single number where one is wanted."""
    items = value if isinstance(value, list) else [value]
    numbers = [as_number(item) for item in items]
    found = tuple(number for number in numbers if number is not None)
    return found if len(found) == len(items) == count else None


def as_number(value: object) -> float | None:
    """Return a finite number as float; text, true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
