"""Finished replications kept on disk, so that a long calibration can be stopped and taken up again.

Takes a file and a key that says what is calibrated; one line of JSON a replication, appended block by block. Lines of
another key, and a last line cut short, are passed over. Runs nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from influbayes.calibration.digests import digest_code, digest_spec
from influbayes.calibration.replication import Experiment, Replication, name_engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """A file of finished replications; `key` says of which experiment and code."""

    path: Path
    key: str

    def read(self) -> dict[int, Replication]:
        """Return number -> replication of all that were kept under this key; none where there is no file."""
        if not self.path.exists():
            return {}
        lines = (_parse(line) for line in self.path.read_text(encoding="utf-8").splitlines())
        return {line["number"]: _rebuild(line["replication"]) for line in lines if line.get("key") == self.key}

    def append(self, numbers: Iterable[int], replications: Iterable[Replication]) -> None:
        """Add finished replications at the end of the file."""
        content = [
            json.dumps({"key": self.key, "number": number, "replication": asdict(one)}, allow_nan=False)
            for number, one in zip(numbers, replications, strict=True)
        ]
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(f"\n{line}" for line in content))


def open_journal(path: Path, experiment: Experiment) -> Journal:
    """Return the journal of an experiment in a file, which need not exist."""
    engine = name_engine(experiment)
    table = "" if experiment.posts is None else experiment.posts.digest
    what = (experiment.shape, experiment.seed, experiment.draws, experiment.chains, engine, table)
    facts = (repr(what), digest_spec(experiment.specification), digest_code(engine))
    return Journal(path=path, key=hashlib.sha256("\n".join(facts).encode()).hexdigest())


def _parse(line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:  # cut short when the program was stopped
        return {}
    return found if isinstance(found, dict) else {}


def _rebuild(content: dict[str, Any]) -> Replication:
    covered = {name: tuple(held) for name, held in content.pop("covered").items()}
    return Replication(covered=covered, **content)
