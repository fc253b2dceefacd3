"""Where each key of a TOML text stands: the line numbers that `tomllib` does not give.

Takes a text that `tomllib` has accepted, so that a key can be told from a value by structure alone; returns paths such
as ("numeric", 0, "prior", "normal") with their line. Knows nothing of specifications.
"""

from __future__ import annotations

import re
import tomllib

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\[\s\S])*?"{3,5}'
    r"|'''[\s\S]*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
)
_BARE = re.compile(r"[^,\]}#\n]+")


def locate_keys(text: str) -> dict[KeyPath, int]:
    """Return the line (from 1) of every table, key and array element of a valid TOML `text`.

    A table is where its header is; the root, path (), is line 1. A table that only dotted keys make is where the first
    of them is.
    """
    return _Scanner(text).scan()


class _Scanner:
    """One pass over the text; `_at` is the position, `_lines` what was found."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[KeyPath, int] = {(): 1}
        self._elements: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip_blank()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._read_header()
            else:
                self._read_pair(table)
            self._skip_blank()
        return self._lines

    def _skip_blank(self) -> None:
        self._at = _match(_BLANK, self._text, self._at).end()

    def _note(self, path: KeyPath) -> None:
        line = self._text.count("\n", 0, self._at) + 1
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)

    def _read_header(self) -> KeyPath:
        """Read `[a.b]` or `[[a.b]]`: the header of an array of tables opens the next element of it."""
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        path = self._enter_last_elements(self._read_key(), keep_last=brackets == 2)
        if brackets == 2:
            self._elements[path] = self._elements.get(path, -1) + 1
            path = (*path, self._elements[path])
        self._note(path)
        self._at += brackets
        return path

    def _enter_last_elements(self, names: list[str], *, keep_last: bool) -> KeyPath:
        """Turn the names of a header into a path: an array of tables on the way means its latest element."""
        path: KeyPath = ()
        for position, name in enumerate(names):
            path = (*path, name)
            is_last = position == len(names) - 1
            if path in self._elements and not (is_last and keep_last):
                path = (*path, self._elements[path])
        return path

    def _read_key(self) -> list[str]:
        names = []
        while True:
            part = _match(_KEY_PART, self._text, self._at)
            self._at = part.end()
            names.append(_unquote(part.group(1)))
            if not self._text.startswith(".", self._at):
                return names
            self._at += 1

    def _read_pair(self, table: KeyPath) -> None:
        start = self._at
        path: KeyPath = (*table, *self._read_key())
        after, self._at = self._at, start
        self._note(path)
        self._at = after + 1  # the equals sign
        self._read_value(path)

    def _read_value(self, path: KeyPath) -> None:
        self._at = _match(re.compile(r"[ \t]*"), self._text, self._at).end()
        opening = self._text[self._at]
        if opening == "[":
            self._read_array(path)
        elif opening == "{":
            self._read_inline_table(path)
        else:
            self._at = _match(_STRING if opening in "\"'" else _BARE, self._text, self._at).end()

    def _read_array(self, path: KeyPath) -> None:
        self._at += 1
        self._skip_blank()
        position = 0
        while self._text[self._at] != "]":
            self._note((*path, position))
            self._read_value((*path, position))
            position += 1
            self._skip_blank()
        self._at += 1

    def _read_inline_table(self, path: KeyPath) -> None:
        self._at += 1
        self._skip_blank()
        while self._text[self._at] != "}":
            self._read_pair(path)
            self._skip_blank()
        self._at += 1


def _match(pattern: re.Pattern[str], text: str, at: int) -> re.Match[str]:
    """Match `pattern` at `at`; text that `tomllib` accepted always matches."""
    found = pattern.match(text, at)
    if found is None:
        raise ValueError(f"not valid TOML near {text[at : at + 20]!r}")
    return found


def _unquote(part: str) -> str:
    """Return the key a quoted or bare part stands for."""
    return next(iter(tomllib.loads(f"{part} = 0"))) if part[0] in "\"'" else part
