"""Finds run folders and reads them, newest first; a broken run is listed with its reason and never shown.

The interface that pages use:

- `StudyRun`: one whole run. `study` is "conversion", "returns" or "attribution"; `results` its results.json as
  validated plain data (read-only); `folder` its path; `created` ISO 8601; `status` ("ok", "partly_withheld",
  "withheld"), `verdict` and `reasons` as the report says them; `is_sample` whether it is of bundled data; `is_private`
  whether one session alone sees it.
- `load_tables(run)`: the CSV files of the run's `tables/` folder by name, numbers as numbers.
- `load_posterior(run, question)`: the saved fit of a conversion or attribution run, to ask further questions of.
- `load_run_ledger(run)`: the checked ledger of a returns run, to filter and to estimate from.

All three read once and keep what they read for as long as the `StudyRun` lives: pages may call them on every view.
What `results["withheld_effects"]`, a statement's `status` or the verdict withholds must not be shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from influbayes.errors import IncompleteRun
from influbayes.reporting.run_folder import MANIFEST
from influbayes.reporting.run_reading import find_verdict, read_run

if TYPE_CHECKING:
    import pandas as pd

    from influbayes.hierarchy.posterior import Fit
    from influbayes.tables.ledger import Ledger

STUDIES = ("conversion", "returns", "attribution")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRun:
    """One whole run of a study, as its folder holds it. `kept` is for what was read once."""

    study: str
    name: str
    folder: Path
    created: str
    status: str
    verdict: str
    reasons: tuple[str, ...]
    is_sample: bool
    is_private: bool
    results: Mapping[str, Any]
    kept: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenRun:
    """A folder that looks like a run but cannot be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIndex:
    """Whole runs, newest first, and broken ones."""

    runs: tuple[StudyRun, ...]
    broken: tuple[BrokenRun, ...]

    def of_study(self, study: str) -> tuple[StudyRun, ...]:
        """Return the runs of one study, newest first."""
        return tuple(run for run in self.runs if run.study == study)

    def join(self, other: RunIndex) -> RunIndex:
        """Return the runs of both, newest first."""
        return RunIndex(runs=_sort_runs([*self.runs, *other.runs]), broken=(*self.broken, *other.broken))


Kept = dict[tuple[Path, int, int], StudyRun | BrokenRun]
"""What was read before: folder, time and size of its manifest -> what was found there."""


def index_runs(folders: Sequence[Path], *, private: Sequence[Path] = (), kept: Kept) -> RunIndex:
    """Return every run in the folders, newest first; folders without a manifest are no runs.

    Parameters
    ----------
    folders, private
        Parents of run folders; runs of `private` ones belong to one session.
    kept
        Filled and reused, so that a run is read once. A run that was replaced is read again.
    """
    found = [
        _read_once(path, is_private=parent in private, kept=kept)
        for parent in (*folders, *private)
        for path in _list_candidates(parent)
    ]
    runs = _sort_runs([row for row in found if isinstance(row, StudyRun)])
    return RunIndex(runs=runs, broken=tuple(row for row in found if isinstance(row, BrokenRun)))


def _sort_runs(runs: list[StudyRun]) -> tuple[StudyRun, ...]:
    return tuple(sorted(runs, key=lambda run: (run.created, run.name), reverse=True))


def _list_candidates(parent: Path) -> list[Path]:
    try:
        return sorted(path for path in parent.iterdir() if not path.name.startswith(".") and (path / MANIFEST).exists())
    except OSError:
        return []


def _read_once(folder: Path, *, is_private: bool, kept: Kept) -> StudyRun | BrokenRun:
    try:
        state = (folder / MANIFEST).stat()
    except OSError as error:
        return BrokenRun(name=folder.name, reason=str(error.strerror))
    key = (folder, state.st_mtime_ns, state.st_size)
    if key not in kept:
        kept[key] = open_run(folder, is_private=is_private)
    return kept[key]


def open_run(folder: Path, *, is_private: bool = False) -> StudyRun | BrokenRun:
    """Return the run in a folder, or why it cannot be read."""
    try:
        results = read_run(folder)
    except IncompleteRun as reason:
        return BrokenRun(name=folder.name, reason=str(reason))
    status, verdict, reasons = find_verdict(results)
    return StudyRun(
        study=results["study"],
        name=folder.name,
        folder=folder,
        created=results["provenance"]["created"],
        status=status,
        verdict=verdict,
        reasons=reasons,
        is_sample=bool(results["data"]["is_sample"]),
        is_private=is_private,
        results=results,
    )


def load_tables(run: StudyRun) -> dict[str, pd.DataFrame]:
    """Return the tables of a run by name ("orders", "influencers" ...); empty where the study writes none."""
    if "tables" not in run.kept:
        import pandas as pd

        files = sorted((run.folder / "tables").glob("*.csv"))
        run.kept["tables"] = {path.stem: pd.read_csv(path, keep_default_na=True) for path in files}
    tables: dict[str, pd.DataFrame] = run.kept["tables"]
    return tables


def load_posterior(run: StudyRun, question: str = "as_bought") -> Fit:
    """Return the saved fit of a question; IncompleteRun where the run holds none."""
    name = f"posterior {question}"
    if name not in run.kept:
        from influbayes.hierarchy.posterior import load_fit

        run.kept[name] = load_fit(run.folder / _name_posterior(run, question))
    fit: Fit = run.kept[name]
    return fit


def _name_posterior(run: StudyRun, question: str) -> str:
    if run.study == "attribution" and run.results["signup"] is not None:
        return "posterior.nc"
    names = {part["question"]: part["posterior_file"] for part in run.results.get("fits", ())}
    if question not in names:
        raise IncompleteRun(f"{run.name}: the run has no answer to the question {question.replace('_', ' ')}.")
    return str(names[question])


def load_run_ledger(run: StudyRun) -> Ledger:
    """Return the checked ledger that a returns run was made from; IncompleteRun where the folder does not hold it."""
    if "ledger" not in run.kept:
        from influbayes.reporting.ledger_store import load_ledger

        run.kept["ledger"] = load_ledger(run.folder)
    ledger: Ledger = run.kept["ledger"]
    return ledger
