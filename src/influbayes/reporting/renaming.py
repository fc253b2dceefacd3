"""Renames folders without ever replacing one by accident: to a new name, or by exchanging two names in one step.

Takes paths on one file system. Uses Linux' renameat2 where there is one; elsewhere two plain renames. Knows no run.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from contextlib import ExitStack
from pathlib import Path

_AT_FDCWD = -100
_NO_REPLACE = 1
_EXCHANGE = 2
# The kernel, the C library or the file system does not know renameat2 or its flags.
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP})


def rename_new(source: Path, target: Path) -> None:
    """Rename a folder to a name that must be free.

    Raises
    ------
    FileExistsError
        The name is taken; a plain rename would silently replace an empty folder.
    OSError
        The rename failed.
    """
    if _call_renameat2(source, target, _NO_REPLACE):
        return
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)


def swap_folders(first: Path, second: Path, *, aside: Path) -> None:
    """Exchange two folders, so that `second` is never missing.

    Where the system cannot exchange, `second` goes to the free name `aside` first; it goes back if the next step fails.
    """
    if _call_renameat2(first, second, _EXCHANGE):
        return
    swap_in_steps(first, second, aside=aside)


def swap_in_steps(first: Path, second: Path, *, aside: Path) -> None:
    """Exchange two folders by plain renames; at every moment both lie whole side by side. A failure undoes all."""
    with ExitStack() as undo:
        second.rename(aside)
        undo.callback(aside.rename, second)
        first.rename(second)
        undo.callback(second.rename, first)
        aside.rename(first)
        undo.pop_all()


def _call_renameat2(source: Path, target: Path, flag: int) -> bool:
    """Return False where the system cannot do it at all."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flag) == 0:
        return True
    code = ctypes.get_errno()
    if code in _UNSUPPORTED:
        return False
    raise OSError(code, os.strerror(code), str(target))
