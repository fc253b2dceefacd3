"""Uploads on disk: in a folder of the session, under our own names; what a browser calls a file is never a path.

Takes the bytes and the browser's name of each file. Knows which files each study takes; reads none of them.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from influbayes.errors import UsageError
from influbayes.tables.problems import escape_text, quote_value

PARTS: Mapping[str, tuple[str, ...]] = {
    "conversion": ("posts",),
    "returns": ("influencers", "posts", "tracking_data", "payouts"),
    "attribution": ("sessions",),
}
"""The tables of each study: their names here and on disk."""

ENDINGS: Mapping[str, tuple[str, ...]] = {
    "conversion": (".csv", ".tsv", ".txt", ".parquet", ".xlsx"),
    "returns": (".csv", ".tsv"),
    "attribution": (".csv", ".tsv", ".txt", ".parquet", ".xlsx"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file as the browser sent it."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUpload:
    """An upload on disk: `source` is what the command line takes, `folder` holds nothing else and is deleted after."""

    source: Path
    folder: Path


def store_upload(study: str, files: Mapping[str, Upload], folder: Path) -> StoredUpload:
    """Write the files of one study into a new folder, readable by this user alone; return what the command line takes.

    Parameters
    ----------
    study
        "conversion", "returns" or "attribution".
    files
        Part -> upload; every part of `PARTS[study]`.
    folder
        Of the session; the new folder is made inside it.
    """
    place = folder / secrets.token_hex(8)
    inner = place / "upload"
    inner.mkdir(parents=True, mode=0o700)
    for part in PARTS[study]:
        path = inner / f"{part}{choose_ending(study, files[part].name)}"
        path.write_bytes(files[part].content)
        path.chmod(0o600)
    return StoredUpload(source=inner if len(PARTS[study]) > 1 else path, folder=place)


def choose_ending(study: str, name: str) -> str:
    """Return the ending of a client's name if it is one that the study's reader knows, else ".csv"."""
    ending = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    return ending if ending in ENDINGS[study] else ".csv"


def parse_mapping(text: str) -> dict[str, str]:
    """Return our column names -> theirs from lines "ours=theirs"; UsageError names a line without both."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    pairs = [line.partition("=") for line in lines]
    wrong = [
        line for line, (ours, _, theirs) in zip(lines, pairs, strict=True) if not (ours.strip() and theirs.strip())
    ]
    if wrong:
        raise UsageError(f"{quote_value(wrong[0])}: write our column name, =, and the name in your file.")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


def name_upload(study: str, files: Mapping[str, Upload]) -> str:
    """Return how an upload is called on the page: the client's name of a single file, escaped, or the study's."""
    names = [escape_text(files[part].name, limit=60) for part in PARTS[study]]
    return names[0] if len(names) == 1 else f"a ledger of {len(names)} files"
