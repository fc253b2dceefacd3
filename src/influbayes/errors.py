"""The exceptions of influbayes and the exit code each one means.

Every exception a caller may want to catch is an `InflubayesError` and also the built-in kind it resembles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class InflubayesError(Exception):
    """Anything influbayes refuses or fails at; `exit_code` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


class UsageError(InflubayesError, ValueError):
    """The call itself is off: an unknown option, fewer than four chains, a probability outside 0 to 1."""

    exit_code: ClassVar[int] = 2


class Refused(InflubayesError, ValueError):
    """Input refused: `problems` holds every problem found, in line order, one message each."""

    exit_code: ClassVar[int] = 3

    def __init__(self, problems: Sequence[object]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DataRefused(Refused):
    """The table cannot be used as it is."""


class SpecificationRefused(Refused):
    """The model specification cannot be used as it is."""


class SamplingFailed(InflubayesError, RuntimeError):
    """The sampler could not produce draws at all."""

    exit_code: ClassVar[int] = 4


class OutputError(InflubayesError, OSError):
    """The result could not be written, or the place for it is taken."""

    exit_code: ClassVar[int] = 5


class IncompleteRun(InflubayesError, OSError):
    """A run folder or a saved fit is not whole: a file is missing, cut short or changed."""

    exit_code: ClassVar[int] = 3


class Interrupted(InflubayesError, KeyboardInterrupt):
    """The user asked to stop; nothing was published."""

    exit_code: ClassVar[int] = 130
