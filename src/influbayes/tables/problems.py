"""What can be wrong with a table or a specification, and how it is said.

A `Problem` names code, file, column, lines, value, reason and remedy. Readers collect problems and raise them once.
Codes are those of the fault list (IB-D01 ...) and are never renumbered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rule = Literal["refuse", "warn", "accept"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault: `refuse` stops the run, `warn` and `accept` are reported and the run goes on.

    `code` is for example "IB-D34"; `lines` are lines of the file with the header as line 1 (all of them, `count` may be
    larger when lines are unknown); `value` is the first offending raw value; `message` is everything after
    "CODE FILE, COLUMN: ", reason and remedy included, already quoted and at most 600 characters.
    """

    code: str
    rule: Rule
    file: str
    message: str
    column: str | None = None
    lines: tuple[int, ...] = ()
    value: str | None = None
    count: int = 1

    def __str__(self) -> str:
        where = f"{self.file}, {self.column}" if self.column else self.file
        return f"{self.code} {where}: {self.message}"
