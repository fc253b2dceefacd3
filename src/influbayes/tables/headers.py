"""Headers to columns: which column of the file is which column of ours, mapping and near misses included.

Takes the header row and the wanted columns; knows no cell.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from influbayes.tables.problems import Problem, Unit, compose_problem, list_values, quote_value

LONGEST_HEADER_LIST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """`positions` of our columns in the file, from 0; what was refused or accepted on the way."""

    positions: Mapping[str, int]
    problems: tuple[Problem, ...] = ()
    notices: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _HeaderRow:
    """The header row with the names normalised once."""

    file: str
    line: int
    unit: Unit
    names: tuple[str, ...]
    keys: tuple[str, ...]

    def find_places(self, name: str) -> list[int]:
        key = normalise_header(name)
        return [place for place, found in enumerate(self.keys) if found == key]

    def find_exact_or_any(self, name: str) -> list[int]:
        """Places of the header exactly as written, where there is just one; else those that read the same."""
        exact = [place for place, found in enumerate(self.names) if found == name]
        return exact if len(exact) == 1 else self.find_places(name)


def normalise_header(name: str) -> str:
    """Return a header without case, outer and repeated blanks and invisible characters, in Unicode form NFKC.

    Examples
    --------
    >>> normalise_header(" Influencer_Tier ")
    'influencer_tier'
    """
    visible = (char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) != "Cf")
    return " ".join("".join(visible).split()).casefold()


def find_columns(
    header: Sequence[str],
    wanted: Sequence[str],
    *,
    optional: Sequence[str] = (),
    mapping: Mapping[str, str] | None = None,
    file: str = "",
    line: int = 1,
    unit: Unit = "line",
) -> Headers:
    """Return where the wanted and the optional columns are.

    Parameters
    ----------
    header
        The header row as read.
    wanted, optional
        Our column names; a wanted one that is absent is a problem.
    mapping
        Our name to the name in this file; it goes before a column of our name.
    file, line, unit
        For the messages; line 0 where the column names stand in no line.

    Returns
    -------
    Headers
        Problems: absent (IB-D14) with the nearest names, twice (IB-D15), alike but for case or blanks (IB-D16).
    """
    names = dict(mapping or {})
    keys = tuple(normalise_header(name) for name in header)
    row = _HeaderRow(file=file, line=line, unit=unit, names=tuple(header), keys=keys)
    positions: dict[str, int] = {}
    problems: list[Problem] = list(_refuse_unknown_targets(row, names, (*wanted, *optional)))
    notices: list[Problem] = []
    for ours in dict.fromkeys((*wanted, *optional)):
        theirs = names.get(ours, ours)
        places = row.find_exact_or_any(theirs) if ours in names else row.find_places(theirs)
        if len(places) > 1:
            problems.append(_refuse_collision(row, ours, places))
        elif not places and (ours in wanted or ours in names):
            problems.append(_refuse_missing(row, ours, theirs, mapped=ours in names))
        elif places and not (ours in optional and ours not in names and places[0] in positions.values()):
            positions[ours] = places[0]
            notices.extend(_note_reading(row, theirs, places[0]))
    problems.extend(_refuse_shared(row, positions))
    if wanted and not any(name in positions for name in wanted) and not names:
        problems = _hint_no_header(row, problems)
    return Headers(positions=positions, problems=tuple(problems), notices=tuple(notices))


def show_mapping(ours: str, theirs: str) -> str:
    """Return the option that maps a column, in quotes where the shell needs them.

    A header with other characters than letters, digits and a few harmless ones is not written out: what is copied
    into a shell must not be able to run anything.
    """
    option = f"{ours}={theirs}"
    if all(char.isalnum() or char in "_-.=" for char in option):
        return f"--map {option}"
    harmless = all(char.isalnum() or char in "_-.= ()/#:" for char in option)
    return f'--map "{option}"' if harmless else f"--map {ours}=NAME"


def _refuse_unknown_targets(row: _HeaderRow, names: Mapping[str, str], ours: Sequence[str]) -> list[Problem]:
    return [
        compose_problem(
            "IB-D14",
            "refuse",
            file=row.file,
            column=name,
            what=f"--map names {quote_value(name)}, which is no column of this analysis",
            remedy=f"Left of the = stands one of {list_values(dict.fromkeys(ours), most=LONGEST_HEADER_LIST)}.",
        )
        for name in names
        if name not in ours
    ]


def _refuse_missing(row: _HeaderRow, ours: str, theirs: str, *, mapped: bool) -> Problem:
    near = _find_near(row, theirs)
    what = f"--map says {quote_value(theirs)}, which is not a column of this file" if mapped else "column not found"
    if near:
        guess = f"Did you mean {list_values(near)}?"
        remedy = f"{guess} Use {show_mapping(ours, near[0])}, or rename the column."
    else:
        there = list_values([name.strip() for name in row.names], most=LONGEST_HEADER_LIST)
        remedy = f"Found: {there}. Use --map {ours}=NAME with one of them, or add the column."
    problem = compose_problem("IB-D14", "refuse", file=row.file, column=ours, what=what, remedy=remedy)
    return _put_on_line(problem, row.line, value=theirs if mapped else None)


def _find_near(row: _HeaderRow, name: str) -> list[str]:
    """Nearest headers: by letters and digits alone, so that swipeups, "Swipe Ups" and SWIPE-UPS are near Swipe_Ups."""
    bare = {_bare(key): row.names[place].strip() for place, key in reversed(list(enumerate(row.keys))) if _bare(key)}
    near = difflib.get_close_matches(_bare(normalise_header(name)), list(bare), n=3, cutoff=0.7)
    return [bare[key] for key in near]


def _bare(key: str) -> str:
    return "".join(char for char in key if char.isalnum())


def _refuse_collision(row: _HeaderRow, ours: str, places: Sequence[int]) -> Problem:
    twice = len({row.names[place] for place in places}) == 1
    where = " and ".join(str(place + 1) for place in places)
    shown = list_values([row.names[place] for place in places])
    problem = compose_problem(
        "IB-D15" if twice else "IB-D16",
        "refuse",
        file=row.file,
        column=ours,
        what=f"{shown.split(', ')[0]} in columns {where}" if twice else f"{shown} in columns {where} read the same",
        why="It is not known which one is meant.",
        remedy="Rename or remove all but one.",
    )
    return _put_on_line(problem, row.line, value=row.names[places[0]])


def _refuse_shared(row: _HeaderRow, positions: Mapping[str, int]) -> list[Problem]:
    users: dict[int, list[str]] = {}
    for ours, place in positions.items():
        users.setdefault(place, []).append(ours)
    return [
        _put_on_line(
            compose_problem(
                "IB-D15",
                "refuse",
                file=row.file,
                column=row.names[place].strip(),
                what=f"one column is used as {' and as '.join(ours)}",
                remedy="Give each its own column with --map, one --map for each.",
            ),
            row.line,
            value=row.names[place],
        )
        for place, ours in users.items()
        if len(ours) > 1
    ]


def _note_reading(row: _HeaderRow, theirs: str, place: int) -> list[Problem]:
    if row.names[place] == theirs:
        return []
    what = f"header {quote_value(row.names[place])} read as {theirs}"
    return [compose_problem("IB-D16", "accept", file=row.file, column=theirs, what=what)]


def _hint_no_header(row: _HeaderRow, problems: list[Problem]) -> list[Problem]:
    if not any(_looks_like_number(name) for name in row.names):
        return problems
    place = f"{row.unit} {row.line} holds" if row.line else "the column names are"
    hint = compose_problem(
        "IB-D14",
        "refuse",
        file=row.file,
        what=f"{place} numbers, so it seems to be a row of data: {list_values(row.names)}",
        why="The first line must hold the column names." if row.line else "The columns must have names.",
        remedy="Put a header line above it." if row.line else "Name the columns.",
    )
    return [_put_on_line(hint, row.line, value=None), *problems]


def _looks_like_number(name: str) -> bool:
    return name.strip().replace(".", "", 1).isdecimal()


def _put_on_line(problem: Problem, line: int, *, value: str | None) -> Problem:
    return Problem(
        code=problem.code,
        rule=problem.rule,
        file=problem.file,
        message=problem.message,
        column=problem.column,
        lines=(line,) if line else (),
        value=value,
    )
