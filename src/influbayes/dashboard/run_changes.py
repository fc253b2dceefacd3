"""What a run says otherwise than the run before it: statements that are new, gone or changed, and by how much.

Takes two runs of one study; subtracts, and computes nothing else. Numbers that either run withholds are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from influbayes.dashboard.run_index import StudyRun
from influbayes.reporting.numbers import format_number, format_probability, format_share

Kind = Literal["changed", "new", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One statement that differs: its text before and now ("" where it is new or gone), and how its number moved."""

    kind: Kind
    before: str
    now: str
    moved: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A run against the one before: `same` statements are equal; `causes` say what differs in the input."""

    before: StudyRun
    changes: tuple[Change, ...]
    same: int
    causes: tuple[str, ...]


def find_previous(run: StudyRun, runs: Sequence[StudyRun]) -> StudyRun | None:
    """Return the newest run of the same study that is older, of the same table where there is one."""
    older = [other for other in runs if other.study == run.study and other.created < run.created]
    alike = [other for other in older if other.results["data"]["file"] == run.results["data"]["file"]]
    return max(alike or older, key=lambda other: other.created, default=None)


def compare_runs(run: StudyRun, before: StudyRun) -> Comparison:
    """Return which statements changed since an earlier run of the same study, in the order of the newer report."""
    old, new = _key_statements(before), _key_statements(run)
    changes: list[Change] = []
    for key, row in new.items():
        earlier = old.get(key)
        if earlier is None:
            changes.append(Change(kind="new", before="", now=row["text"], moved=""))
        elif earlier["text"] != row["text"]:
            moved = _say_moves(earlier, row, before, run)
            changes.append(Change(kind="changed", before=earlier["text"], now=row["text"], moved=moved))
    gone = [row for key, row in old.items() if key not in new]
    changes += [Change(kind="gone", before=row["text"], now="", moved="") for row in gone]
    same = sum(key in old and old[key]["text"] == row["text"] for key, row in new.items())
    return Comparison(before=before, changes=tuple(changes), same=same, causes=_list_causes(run, before))


def _key_statements(run: StudyRun) -> dict[str, Mapping[str, Any]]:
    """Return the statements by id; where ids end in a running number, by their kind and place within it."""
    found, seen = {}, Counter[str]()
    for row in run.results["statements"]:
        kind, _, rest = row["id"].rpartition("/")
        seen[kind] += 1
        found[f"{kind}/{seen[kind]}" if rest.isdecimal() else row["id"]] = row
    return found


def _say_moves(earlier: Mapping[str, Any], row: Mapping[str, Any], before: StudyRun, run: StudyRun) -> str:
    """Return how the number behind a statement moved: "odds ratio 2.99 to 1.8 (−1.19)"; "" where it is withheld."""
    if "withheld" in (earlier["status"], row["status"]):
        return f"{earlier['status']} before, {row['status']} now" if earlier["status"] != row["status"] else "withheld"
    parts = []
    shared = [name for name in row.get("effects", ()) if name in earlier.get("effects", ())]
    if shared:
        parts.append(_say_effect(shared[0], before, run))
    old, new = earlier.get("probability"), row.get("probability")
    if old is not None and new is not None and format_probability(old) != format_probability(new):
        parts.append(f"probability {format_probability(old)} to {format_probability(new)}")
    return "; ".join(part for part in parts if part)


def _say_effect(name: str, before: StudyRun, run: StudyRun) -> str:
    old, new = _find_effect(before, name), _find_effect(run, name)
    if old is None or new is None or old["estimate"] is None or new["estimate"] is None:
        return ""
    show = format_share if new["scale"] == "probability" else format_number
    step = new["estimate"] - old["estimate"]
    words = f"{new['estimand'].replace('_', ' ')}{' per 100 posts' if new['scale'] == 'per_100_posts' else ''}"
    return f"{words} {show(old['estimate'])} to {show(new['estimate'])} ({'+' if step > 0 else ''}{show(step)})"


def _find_effect(run: StudyRun, name: str) -> Mapping[str, Any] | None:
    if "effects" not in run.kept:
        hidden = set(run.results["withheld_effects"])
        run.kept["effects"] = {row["id"]: row for row in run.results["effects"] if row["id"] not in hidden}
    effects: dict[str, Mapping[str, Any]] = run.kept["effects"]
    return effects.get(name)


def _list_causes(run: StudyRun, before: StudyRun) -> tuple[str, ...]:
    """Say what differs in what the two runs were made from."""
    now, old = run.results, before.results
    found = []
    if now["data"]["digest"] != old["data"]["digest"]:
        rows = f"{old['data']['rows_used']:,} rows before, {now['data']['rows_used']:,} now"
        found.append(f"The data differ ({rows}).")
    for name in ("seed", "prob"):
        if now["provenance"][name] != old["provenance"][name]:
            found.append(f"Another {name}: {old['provenance'][name]} before, {now['provenance'][name]} now.")
    texts = [(side["provenance"].get("specification") or {}).get("digest") for side in (old, now)]
    if texts[0] != texts[1]:
        found.append("The specification of the model differs.")
    if now["data"].get("filter") != old["data"].get("filter"):
        found.append("The filter differs.")
    if now["provenance"]["versions"] != old["provenance"]["versions"]:
        found.append("Versions of influbayes or its packages differ.")
    return tuple(found)
