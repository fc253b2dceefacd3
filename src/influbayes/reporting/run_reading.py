"""Reads a run folder of any study back: whole by its manifest, its results.json checked by the schema of its study.

Takes a folder; gives plain data. Knows no number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from influbayes.errors import IncompleteRun
from influbayes.reporting.credit_results import validate_credit_results
from influbayes.reporting.results import validate_results
from influbayes.reporting.returns_results import validate_returns
from influbayes.reporting.run_folder import verify_run

RESULTS = "results.json"
VALIDATORS: Mapping[str, Callable[[Mapping[str, Any]], Sequence[str]]] = {
    "conversion": validate_results,
    "returns": validate_returns,
    "attribution": validate_credit_results,
}


def read_run(folder: str | Path) -> dict[str, Any]:
    """Return the results.json of a whole run folder of any study.

    Raises
    ------
    IncompleteRun
        A file is missing or changed, the study is unknown, or results.json does not hold what its schema asks for.
    """
    place = Path(folder)
    verify_run(place)
    path = place / RESULTS
    try:
        results = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise IncompleteRun(f"{path}: not a whole results.json ({error}). Run the analysis again.") from error
    study = str(results.get("study")) if isinstance(results, dict) else ""
    if study not in VALIDATORS:
        raise IncompleteRun(f"{path}: no results of {', '.join(VALIDATORS)}. Run the analysis again.")
    problems = VALIDATORS[study](results)
    if problems:
        raise IncompleteRun(f"{path}: not what this version of influbayes writes: {_shorten(problems[0])}")
    return results  # type: ignore[no-any-return]  # json.loads gives Any, checked above


def find_verdict(results: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    """Return status, text and reasons of the verdict on a run of any study."""
    if results["study"] == "attribution":
        signup = results["signup"] or {}
        return results["status"], results["verdict"], tuple(signup.get("reasons", ()))
    verdict = results["headline"]["verdict"]
    return verdict["status"], verdict["text"], tuple(verdict["reasons"])


def list_headlines(results: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the headline sentences of a run of any study, in reading order, each once."""
    rows = [row["text"] for row in results["statements"] if row["kind"] == "headline"]
    return tuple(dict.fromkeys(rows))


def list_withheld_cells(results: Mapping[str, Any]) -> frozenset[str]:
    """Return the levels and cells of a conversion run whose expected value as bought is withheld."""
    hidden = set(results["withheld_effects"])
    rows = [row for row in results["effects"] if row["id"] in hidden and row["question"] == "as_bought"]
    return frozenset(str(row["level"]) for row in rows if row["estimand"] == "expected_value")


def _shorten(text: str, most: int = 160) -> str:
    """Return the start of a text: a part of a file that is not as expected may be long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
