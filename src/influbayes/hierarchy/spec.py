"""A model specification: the types, reading it from a shipped name or a file, and choosing one for a table.

The door to the specification: terms (`terms`), reading (`spec_reader`) and changing (`spec_editing`) are offered from
here. Takes a name, a path or a checked table; makes a `Specification`. Knows no arrays and no model.
"""

from __future__ import annotations

import difflib
from importlib.resources import files
from pathlib import Path

from influbayes.errors import SpecificationRefused
from influbayes.hierarchy.spec_editing import (
    has_after_purchase,
    leave_out_after_purchase,
    list_prior_scales,
    multiply_prior_scale,
    render_spec,
    replace_references,
)
from influbayes.hierarchy.spec_entries import LONGEST_MESSAGE, shorten
from influbayes.hierarchy.spec_measured import say_coverage
from influbayes.hierarchy.spec_reader import parse_spec
from influbayes.hierarchy.terms import (
    FactorTerm,
    InteractionTerm,
    Levels,
    NormalPrior,
    NumericTerm,
    Outcome,
    Question,
    ScaleFamily,
    ScalePrior,
    Specification,
    Transform,
)
from influbayes.tables.posts import PostColumns, PostsTable
from influbayes.tables.problems import Problem

__all__ = [
    "FactorTerm",
    "InteractionTerm",
    "Levels",
    "NormalPrior",
    "NumericTerm",
    "Outcome",
    "Question",
    "ScaleFamily",
    "ScalePrior",
    "Specification",
    "Transform",
    "choose_spec",
    "has_after_purchase",
    "leave_out_after_purchase",
    "list_prior_scales",
    "list_shipped_specs",
    "load_spec",
    "multiply_prior_scale",
    "parse_spec",
    "render_spec",
    "replace_references",
    "required_columns",
    "say_asked",
]

CREATOR_COLUMN = "Creator_ID"
CREATORS_NEEDED = 10
LARGEST_FILE = 1_000_000
LONGEST_PATH = 200


def list_shipped_specs() -> tuple[str, ...]:
    """Return the names of the specifications that ship with influbayes, sorted."""
    names = (entry.name for entry in files("influbayes.models").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def load_spec(name_or_path: str | Path) -> Specification:
    """Read a shipped specification by its name, or any other by its file.

    Parameters
    ----------
    name_or_path : str or Path
        A name of `list_shipped_specs()` (a shipped name wins over a file of that name), or a TOML file of at most
        1 MB in UTF-8. A `Path` is always a file.

    Raises
    ------
    SpecificationRefused
        With every fault of the file at once, each with its line; or because there is no such name or readable file.

    Examples
    --------
    >>> load_spec("conversion").factors[0].reference
    'Mega'
    """
    if isinstance(name_or_path, str) and name_or_path in list_shipped_specs():
        text = files("influbayes.models").joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8")
        return parse_spec(text, name=name_or_path, file=f"{name_or_path}.toml")
    path = Path(name_or_path)
    return parse_spec(_read_text(path), name=path.stem, file=path.name)


def _read_text(path: Path) -> str:
    """Return the text of a specification file; a byte-order mark is not part of it."""
    raw = _read_bytes(path)
    if len(raw) > LARGEST_FILE:
        raise _refuse_file(path, "larger than 1 MB, so no specification. Give a TOML file like the shipped ones.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        line = raw[: reason.start].count(b"\n") + 1
        message = f"line {line}: not UTF-8 text. Save the file as UTF-8 and try again."
        raise _refuse_file(path, message, line=line) from None


def _read_bytes(path: Path) -> bytes:
    """Return the first bytes of a file, one more than a specification may have."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as reason:
        raise _refuse_file(path, _explain_unreadable(path, reason)) from None


def _refuse_file(path: Path, message: str, *, line: int | None = None) -> SpecificationRefused:
    lines = () if line is None else (line,)
    problem = Problem(
        code="IB-F09",
        rule="refuse",
        file=path.name or str(path),
        lines=lines,
        message=shorten(message, LONGEST_MESSAGE),
    )
    return SpecificationRefused([problem])


def _explain_unreadable(path: Path, reason: OSError | ValueError) -> str:
    """Say why nothing could be read, with the shipped names for a mistyped one."""
    shipped = list_shipped_specs()
    near = difflib.get_close_matches(path.name.removesuffix(".toml"), shipped, n=2)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    if isinstance(reason, FileNotFoundError):
        found = "no such file, and no shipped specification of that name"
    elif isinstance(reason, IsADirectoryError):
        found = "a folder, not a file"
    else:
        found = (
            f"cannot be read ({(reason.strerror if isinstance(reason, OSError) else None) or 'not a possible name'})"
        )
    return (
        f"{shorten(repr(str(path)), LONGEST_PATH)}: {found}.{hint} Shipped: {', '.join(shipped)}; or give a TOML file."
    )


def required_columns(spec: Specification) -> PostColumns:
    """Return which columns a reader must find for `spec`, and how each is read.

    `Creator_ID` is optional where the specification does not use it, so that posts of one creator can be counted.
    """
    labels = tuple(term.column for term in spec.factors)
    numeric = tuple(term.column for term in spec.numerics)
    outcome = spec.outcome
    used = {*labels, *numeric, outcome.column, outcome.successes, outcome.trials}
    return PostColumns(
        outcome=outcome.column,
        successes=outcome.successes,
        trials=outcome.trials,
        numeric=numeric,
        labels=labels,
        optional_labels=() if CREATOR_COLUMN in used else (CREATOR_COLUMN,),
    )


def choose_spec(posts: PostsTable) -> tuple[Specification, str]:
    """Choose the specification of `--model auto` and say why.

    Returns
    -------
    (Specification, str)
        `conversion_creator` where the table has Creator_ID and at least ten creators have more than one post, else
        `conversion`; and one or two plain sentences with the counts.
    """
    if CREATOR_COLUMN not in posts.frame:
        return load_spec("conversion"), (
            f"conversion, because the table has no {CREATOR_COLUMN}: posts are taken as independent. "
            "If creators have several posts, intervals of tier and region are too narrow."
        )
    repeated, creators = _count_repeated(posts)
    count = f"{repeated:,} of {creators:,} creators {'has' if repeated == 1 else 'have'} more than one post"
    if repeated >= CREATORS_NEEDED:
        return load_spec("conversion_creator"), (
            f"conversion_creator, because {count}: posts of one creator are not independent, so each creator has an "
            f"effect of its own. {say_coverage()}"
        )
    return load_spec("conversion"), (
        f"conversion, because only {count} ({CREATORS_NEEDED} are needed to estimate how creators differ): "
        "posts are taken as independent."
    )


def say_asked(spec: Specification, posts: PostsTable) -> str:
    """Say that a specification was asked for, and what it costs where it takes a creator's posts as independent."""
    text = f"{spec.name}: asked for with --model."
    if CREATOR_COLUMN not in posts.frame or any(term.column == CREATOR_COLUMN for term in spec.factors):
        return text
    repeated, creators = _count_repeated(posts)
    if repeated < CREATORS_NEEDED:
        return text
    return (
        f"{text} It takes posts as independent, but {repeated:,} of {creators:,} creators have more than one: "
        f"intervals of tier and region are too narrow. {say_coverage()}"
    )


def _count_repeated(posts: PostsTable) -> tuple[int, int]:
    """Return how many creators have more than one post, and how many there are."""
    sizes = posts.frame[CREATOR_COLUMN].value_counts()
    return int((sizes > 1).sum()), len(sizes)
