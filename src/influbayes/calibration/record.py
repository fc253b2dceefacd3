"""The calibration record: figures, what they speak about, and whether they still do. Written and read as JSON.

Holds counts of ranks and of covered truths, never draws. Knows no engine and runs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from influbayes.calibration.decision import Coverage, Failure, QuantityFigures
from influbayes.calibration.digests import digest_code, digest_spec
from influbayes.errors import IncompleteRun
from influbayes.hierarchy.spec import Specification, list_shipped_specs, load_spec

RECORD_VERSION = 1
MADE_BY = "influbayes calibrate"
CalibrationStatus = Literal["calibrated", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Replications taken together: `failed` gave no draws, `flagged` did not pass the engine's own checks.

    `alpha` is the probability of a false alarm over all tests of the stage; `failures` the tests that failed.
    `engines` engine used -> fits. `redrawn` truths were drawn again because their outcome was constant.
    """

    replications: int
    alpha: float
    engines: Mapping[str, int]
    failed: Mapping[str, int]
    flagged: int
    redrawn: int
    figures: tuple[QuantityFigures, ...]
    failures: tuple[Failure, ...]

    @property
    def bad(self) -> int:
        """Fits that failed or were flagged."""
        return self.flagged + sum(self.failed.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRecord:
    """What was calibrated, how, and with what result.

    `first` are the replications asked for; `fresh`, made only where one of them failed, decide the failure. `because`
    are plain sentences. `table` says where predictors came from; `versions` package -> version.
    """

    status: CalibrationStatus
    because: tuple[str, ...]
    model: str
    title: str
    engine: str
    draws: int
    chains: int
    seed: int
    table: str
    first: Stage
    fresh: Stage | None
    specification_digest: str
    code_digest: str
    versions: Mapping[str, str]


def render_record(record: CalibrationRecord) -> str:
    """Return the record as strict JSON text, the same for the same record."""
    content = {"made_by": MADE_BY, "record_version": RECORD_VERSION, **asdict(record)}
    return json.dumps(content, allow_nan=False, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def read_record(path: str | Path) -> CalibrationRecord:
    """Read a record that `render_record` wrote.

    Raises
    ------
    IncompleteRun
        The file cannot be read, is no record, or is one of a newer version.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        made_by, made_version = content.pop("made_by"), content.pop("record_version")
        if made_by == MADE_BY and made_version == RECORD_VERSION:
            return _rebuild_record(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as reason:
        raise IncompleteRun(f"{path}: not a calibration record ({type(reason).__name__}). Calibrate again.") from reason
    raise IncompleteRun(
        f"{path}: a record by {made_by}, version {made_version}; "
        f"this program reads version {RECORD_VERSION} by {MADE_BY}. Calibrate again."
    )


def is_stale(record: CalibrationRecord, *, specification: Specification | None = None) -> bool:
    """Tell whether the record speaks about other code or another specification than there is now.

    Parameters
    ----------
    record : CalibrationRecord
    specification : Specification, optional
        The specification now; by default the shipped one of the record's name. A record of a file's specification is
        stale unless that is given.
    """
    return bool(list_stale_parts(record, specification=specification))


def list_stale_parts(record: CalibrationRecord, *, specification: Specification | None = None) -> tuple[str, ...]:
    """Return which parts changed since the record was made: "model code", "specification"."""
    stale = [] if record.code_digest == digest_code(record.engine) else ["model code"]
    now = specification
    if now is None and record.model in list_shipped_specs():
        now = load_spec(record.model)
    if now is None or record.specification_digest != digest_spec(now):
        stale.append("specification")
    return tuple(stale)


def _rebuild_record(content: dict[str, Any]) -> CalibrationRecord:
    fresh = content.pop("fresh")
    return CalibrationRecord(
        first=_rebuild_stage(content.pop("first")),
        fresh=None if fresh is None else _rebuild_stage(fresh),
        because=tuple(content.pop("because")),
        **content,
    )


def _rebuild_stage(content: dict[str, Any]) -> Stage:
    figures = tuple(_rebuild_figures(one) for one in content.pop("figures"))
    failures = tuple(Failure(**one) for one in content.pop("failures"))
    return Stage(figures=figures, failures=failures, **content)


def _rebuild_figures(content: dict[str, Any]) -> QuantityFigures:
    coverage = tuple(Coverage(**one) for one in content.pop("coverage"))
    return QuantityFigures(counts=tuple(content.pop("counts")), coverage=coverage, **content)
