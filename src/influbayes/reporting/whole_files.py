"""Writes single files whole or not at all: under a hidden name first, then by renaming, interrupts included.

Takes paths and their bytes. Knows neither what is in them nor what a run folder is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from influbayes.errors import Interrupted, OutputError
from influbayes.reporting.interrupts import hold_interrupts
from influbayes.reporting.renaming import rename_new


def write_files(contents: Mapping[Path, bytes], *, overwrite: bool = False) -> None:
    """Write files that belong together: all of them, or none.

    Parameters
    ----------
    contents
        Path -> what to write there. Its folder must exist.
    overwrite
        Replace what is there.

    Raises
    ------
    OutputError
        A file exists already, or could not be written.
    Interrupted
        Instead of a KeyboardInterrupt that came when everything was written; the message says so.
    """
    hidden = {path: path.with_name(f".{path.name}.tmp-{os.getpid()}") for path in contents}
    named = ", ".join(map(str, contents))
    done = False
    try:
        with ExitStack() as stack:
            for path, content in contents.items():
                stack.callback(hidden[path].unlink, missing_ok=True)
                hidden[path].write_bytes(content)
            with hold_interrupts():
                _rename_all(hidden, overwrite=overwrite)
                done = True
    except OSError as reason:
        why = "it exists already" if isinstance(reason, FileExistsError) else reason.strerror or str(reason)
        raise OutputError(f"{named}: could not be written ({why}). Choose another --out.") from reason
    except KeyboardInterrupt as reason:
        if not done:
            raise
        raise Interrupted(f"interrupted, but everything was written already: {named}.") from reason


def _rename_all(hidden: Mapping[Path, Path], *, overwrite: bool) -> None:
    """Give each file its name; where one fails, those that were new are taken back."""
    with ExitStack() as undo:
        for path, temporary in hidden.items():
            if overwrite:
                temporary.replace(path)
            else:
                rename_new(temporary, path)
                undo.callback(path.unlink, missing_ok=True)
        undo.pop_all()
