"""Publishes a run folder whole or not at all, and reads one back only if it is whole.

Takes names and contents of files and some facts for the manifest. Knows no study. A folder is written as a hidden
sibling, flushed to disk, described by MANIFEST.json (written last) and renamed into place in one step; a lock file
keeps a second run away. Whatever goes wrong, the place holds either what was there before or the new run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from influbayes.errors import IncompleteRun, Interrupted, OutputError
from influbayes.reporting.interrupts import hold_interrupts
from influbayes.reporting.renaming import rename_new, swap_folders
from influbayes.reporting.run_lock import hold_lock, is_locked

MANIFEST = "MANIFEST.json"
MADE_BY = "influbayes"
MANIFEST_VERSION = 1
DEFAULT_PARENT = Path("runs")

# A name of 255 bytes is the most that file systems allow, and the hidden siblings of a folder have longer names.
_MOST_NAME_BYTES = 80

Content = bytes | Callable[[Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlace:
    """A reserved place: `final` is where the run will be, `temporary` where it is written. Held by a lock.

    `identity` is the device and inode of the folder that is written, by which it is known after the rename.
    """

    final: Path
    temporary: Path
    overwrite: bool
    identity: tuple[int, int]


@contextmanager
def reserve_run(
    out: str | Path | None, *, name: str = "run", overwrite: bool = False, needed_bytes: int = 0
) -> Iterator[RunPlace]:
    """Reserve the place of a run before the work begins, and clean up after it.

    Parameters
    ----------
    out
        The folder to make; None takes the first free of ``runs/NAME``, ``runs/NAME-2``, ...
    name
        NAME of the default.
    overwrite
        Replace `out` if it holds exactly the files of an influbayes run.
    needed_bytes
        Estimated size of the run; three times as much must be free.

    Yields
    ------
    RunPlace
        To hand to `publish_run`. On any exit, interrupts included, the temporary folder and the lock are removed.

    Raises
    ------
    OutputError
        The place is taken, locked by another run, not writable or too small.
    Interrupted
        Instead of a KeyboardInterrupt that came after the run was published; the message says so.
    """
    place = None
    try:
        with ExitStack() as stack:
            final = _lock_place(stack, out, name)
            _repair_place(final)
            _check_place(final, overwrite=overwrite)
            _check_space(final.parent, needed_bytes)
            place = _make_place(stack, final, overwrite=overwrite)
            yield place
    except KeyboardInterrupt as reason:
        if place is None or not _is_published(place):
            raise
        raise Interrupted(say_published(place.final)) from reason


def choose_folder(name: str, *, parent: Path = DEFAULT_PARENT) -> Path:
    """Return the first of parent/NAME, parent/NAME-2, ... that does not exist and no running process holds."""
    safe = _cut_name(re.sub(r"[^\w.-]+", "-", name).strip(".-")) or "run"
    root = Path(os.path.abspath(parent))
    number = 1
    while True:
        place = root / (safe if number == 1 else f"{safe}-{number}")
        if not os.path.lexists(place) and not is_locked(place):
            return place
        number += 1


def publish_run(place: RunPlace, files: Mapping[str, Content], *, facts: Mapping[str, Any]) -> Path:
    """Write all files, the manifest last, and put the folder in its place in one step.

    Parameters
    ----------
    place
        From `reserve_run`.
    files
        Relative name (``plots/forest.png``) -> bytes, or a function that writes to the path it is given.
    facts
        What the manifest says beside names, sizes and SHA-256: draws, chains, status, digests, seed, versions.

    Returns
    -------
    pathlib.Path
        The published folder.

    Raises
    ------
    OutputError
        A file could not be written or the place was taken meanwhile; nothing was published and the old run stands.
    """
    written = {name: _write_file(place.temporary, name, content) for name, content in sorted(files.items())}
    manifest = {"made_by": MADE_BY, "manifest_version": MANIFEST_VERSION, **facts, "files": written}
    text = json.dumps(manifest, allow_nan=False, ensure_ascii=False, indent=1, sort_keys=True)
    _write_file(place.temporary, MANIFEST, f"{text}\n".encode(), reserved=True)
    _check_place(place.final, overwrite=place.overwrite)
    with _say_failure(place.final):
        _sync_tree(place.temporary)
        with hold_interrupts():
            _move_into_place(place)
    return place.final


def name_scratch(place: RunPlace) -> Path:
    """Return a folder beside the place, not made yet, for files that may become part of the run.

    Whoever makes it removes it; what a killed run leaves there the next run at this place clears away.
    """
    return _name_sibling(place.final, "tmp")


def say_published(folder: Path) -> str:
    """Return what is said of an interrupt that came too late to stop a run."""
    return f"interrupted, but the run was written already: {folder} is whole."


def verify_run(path: str | Path) -> dict[str, Any]:
    """Return the manifest of a run folder that is whole.

    Raises
    ------
    IncompleteRun
        There is no manifest of influbayes, it is of a newer version, or a file is missing, cut short or changed.
    """
    folder = Path(path)
    manifest = _read_manifest(folder)
    if manifest["manifest_version"] > MANIFEST_VERSION:
        found = manifest["manifest_version"]
        raise IncompleteRun(
            f"{folder}: written by a newer influbayes (manifest {found}; this one reads up to {MANIFEST_VERSION}). "
            "Update, or run the analysis again."
        )
    for name, entry in manifest["files"].items():
        _verify_file(folder, name, entry)
    return manifest


# --- the place ------------------------------------------------------------------------------------------------------


def _lock_place(stack: ExitStack, out: str | Path | None, name: str) -> Path:
    """Lock the place asked for, or the next free default: two runs that start together get two folders."""
    while True:
        with _say_failure(DEFAULT_PARENT if out is None else Path(out)):
            final = choose_folder(name) if out is None else Path(os.path.abspath(out))
        with _say_failure(final.parent):
            final.parent.mkdir(parents=True, exist_ok=True)
        try:
            stack.enter_context(hold_lock(final))
        except OutputError:
            if out is not None or not is_locked(final):
                raise
        else:
            return final


def _make_place(stack: ExitStack, final: Path, *, overwrite: bool) -> RunPlace:
    """Make the hidden folder; the stack removes it, or the replaced run that has its name after a swap."""
    temporary = _name_sibling(final, "tmp")
    stack.callback(_remove_folder, temporary)
    with _say_failure(temporary):
        temporary.mkdir()
        made = temporary.stat()
    return RunPlace(final=final, temporary=temporary, overwrite=overwrite, identity=(made.st_dev, made.st_ino))


def _remove_folder(folder: Path) -> None:
    with hold_interrupts():
        shutil.rmtree(folder, ignore_errors=True)


def _is_published(place: RunPlace) -> bool:
    try:
        found = place.final.lstat()
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == place.identity


def _cut_name(name: str) -> str:
    return name.encode("utf-8", "ignore")[:_MOST_NAME_BYTES].decode("utf-8", "ignore")


def _name_sibling(final: Path, kind: str) -> Path:
    return final.parent / f".{final.name}.{kind}-{secrets.token_hex(6)}"


def _list_siblings(final: Path, kind: str) -> list[Path]:
    pattern = re.compile(rf"\.{re.escape(final.name)}\.{kind}-[0-9a-f]{{12}}")
    return sorted(path for path in final.parent.iterdir() if pattern.fullmatch(path.name))


def _repair_place(final: Path) -> None:
    """Clear what a killed run left beside the place; under the lock, so that no run is using it."""
    with _say_failure(final.parent):
        for old in _list_siblings(final, "old"):
            # Killed between the two renames of a system without exchange: the old run goes back.
            if os.path.lexists(final):
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.rename(final)
        for left in _list_siblings(final, "tmp"):
            shutil.rmtree(left, ignore_errors=True)


def _check_place(final: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(final):
        return
    if not overwrite:
        raise OutputError(f"{final} exists. Choose another --out, or replace the run in it with --overwrite.")
    foreign = _find_foreign(final)
    if foreign is not None:
        raise OutputError(f"{final} is not replaced: {foreign}. Choose another --out, or remove it yourself.")


def _find_foreign(folder: Path) -> str | None:
    """Say why a folder is not exactly an influbayes run, or return None."""
    if folder.is_symlink() or not folder.is_dir():
        return "it is not a folder"
    try:
        named = {*_read_manifest(folder)["files"], MANIFEST}
    except IncompleteRun:
        return "it holds no influbayes run"
    found = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    }
    if found == named:
        return None
    odd = sorted(found ^ named)
    return f"{odd[0]!r} {'is not of the run' if odd[0] in found else 'is missing from the run'}"


def _check_space(folder: Path, needed: int) -> None:
    with _say_failure(folder):
        free = shutil.disk_usage(folder).free
    if free < 3 * needed:
        raise OutputError(f"{folder}: {3 * needed:,} bytes are needed, {free:,} are free. Make room, or choose --out.")


def _move_into_place(place: RunPlace) -> None:
    """Move the new run into place; where that cannot be made to last, move it back."""
    with ExitStack() as undo:
        if os.path.lexists(place.final):
            # After the swap the temporary name holds the old run, which `reserve_run` removes on its way out.
            _swap(place)
            undo.callback(_swap, place)
        else:
            rename_new(place.temporary, place.final)
            undo.callback(rename_new, place.final, place.temporary)
        _sync_folder(place.final.parent)
        undo.pop_all()


def _swap(place: RunPlace) -> None:
    swap_folders(place.temporary, place.final, aside=_name_sibling(place.final, "old"))


# --- files ----------------------------------------------------------------------------------------------------------


def _write_file(folder: Path, name: str, content: Content, *, reserved: bool = False) -> dict[str, Any]:
    path = _place_file(folder, name, reserved=reserved)
    size = len(content) if isinstance(content, bytes) else None
    with _say_failure(path, size=size):
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            _call_writer(content, path)
        return _describe_file(path)


def _call_writer(write: Callable[[Path], None], path: Path) -> None:
    try:
        write(path)
    except RuntimeError as error:
        # netCDF reports a full disk as "NetCDF: HDF error"; any other RuntimeError is a defect and stays one.
        if str(error).startswith(("NetCDF", "HDF")):
            raise OSError(str(error)) from error
        raise


def _place_file(folder: Path, name: str, *, reserved: bool) -> Path:
    if not _is_inside(name) or (name == MANIFEST and not reserved):
        raise ValueError(f"{name!r} is no name for a file of a run")
    return folder.joinpath(*PurePosixPath(name).parts)


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _describe_file(path: Path) -> dict[str, Any]:
    """Flush a file to disk and return its size and SHA-256 as they are there."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": os.fstat(file.fileno()).st_size, "sha256": digest}


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir():
            _sync_folder(path)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there, and renames are durable by themselves
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        raise IncompleteRun(f"{folder}: incomplete, no readable {MANIFEST}. Run the analysis again.") from error
    if not _is_manifest(manifest):
        raise IncompleteRun(f"{folder}: {MANIFEST} is not of influbayes. This is not a run folder.")
    return manifest  # type: ignore[no-any-return]  # json.loads gives Any, checked above


def _is_manifest(manifest: object) -> bool:
    if not isinstance(manifest, dict) or manifest.get("made_by") != MADE_BY:
        return False
    files, version = manifest.get("files"), manifest.get("manifest_version")
    return isinstance(version, int) and isinstance(files, dict) and all(isinstance(row, dict) for row in files.values())


def _verify_file(folder: Path, name: str, entry: Mapping[str, Any]) -> None:
    path = folder.joinpath(*PurePosixPath(name).parts)
    if not _is_inside(name) or path.is_symlink() or not path.is_file():
        raise IncompleteRun(f"{path}: incomplete, the file is missing. Run the analysis again.")
    size = path.stat().st_size
    if size != entry.get("bytes"):
        raise IncompleteRun(
            f"{path}: incomplete, {size} bytes instead of {entry.get('bytes')}. Run the analysis again."
        )
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != entry.get("sha256"):
            raise IncompleteRun(f"{path}: changed since it was written (SHA-256 differs). Run the analysis again.")


@contextmanager
def _say_failure(path: Path, *, size: int | None = None) -> Iterator[None]:
    """Turn an error of the operating system into ours, with the path and the bytes that were to be written."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        what = f"{size:,} bytes " if size is not None else ""
        why = error.strerror or str(error)
        message = (
            f"{path}: {what}could not be written ({why}). Nothing was published. Make room, or choose another --out."
        )
        raise OutputError(message) from error
