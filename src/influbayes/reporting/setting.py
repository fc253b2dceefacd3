"""What the words of a study need to know of its model: the outcome, the terms, and what they are called.

Takes the `model` part of a results.json. Knows no number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from influbayes.reporting.wording import join_words, name_column

AS_BOUGHT = "as_bought"
_KNOWN_OUTCOME = "Converted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the words need of a model: `outcome` (`column`, or `successes` and `trials`) and its rows of `terms`."""

    outcome: Mapping[str, Any]
    terms: tuple[Mapping[str, Any], ...]

    def list_factors(self, question: str, *, levels: str) -> list[Mapping[str, Any]]:
        """Return the factor terms of a question, `levels` being `all` or `sample`."""
        return [term for term in self._list_terms(question, "factor") if term["levels"] == levels]

    def list_numerics(self, question: str) -> list[str]:
        """Return the numeric columns in the model of a question."""
        return [term["variable"] for term in self._list_terms(question, "numeric")]

    def list_columns(self, question: str) -> list[str]:
        """Return every column in the model of a question, numerics first."""
        return [*self.list_numerics(question), *(term["variable"] for term in self._list_terms(question, "factor"))]

    def is_sample(self, variable: str) -> bool:
        """Return whether the levels of a variable are a sample of a population (creators)."""
        return any(term["variable"] == variable and term["levels"] == "sample" for term in self.terms)

    def is_bent(self, question: str, variable: str) -> bool:
        """Return whether a numeric column enters the model as a logarithm."""
        terms = self._list_terms(question, "numeric")
        return any(term["variable"] == variable and term["transform"] == "log1p_standardise" for term in terms)

    def find_mean(self, column: str, factor: str, level: str) -> float | None:
        """Return the mean of a numeric column over the posts of a level, where it is known."""
        for term in self._list_terms("engagement_constant", "numeric"):
            if term["variable"] == column:
                mean = term.get("means", {}).get(factor, {}).get(level)
                return None if mean is None else float(mean)
        return None

    def _list_terms(self, question: str, kind: str) -> list[Mapping[str, Any]]:
        return [term for term in self.terms if term["question"] == question and term["kind"] == kind]

    @property
    def event(self) -> str:
        """What the odds are odds of: "at least one purchase", or 'a success in "Enrolled"'."""
        return "at least one purchase" if self._is_purchase else f'a success in "{self._column}"'

    @property
    def successes(self) -> str:
        """What is counted: "conversions", or 'successes in "Enrolled"'."""
        return "conversions" if self._is_purchase else f'successes in "{self._column}"'

    @property
    def units(self) -> str:
        """What is counted over: "posts", or "trials" where a row holds many."""
        return "posts" if self.outcome["trials"] is None else "trials"

    @property
    def _column(self) -> str:
        return str(self.outcome["column"] or self.outcome["successes"])

    @property
    def _is_purchase(self) -> bool:
        return bool(self.outcome["column"] == _KNOWN_OUTCOME)


def read_setting(model: Mapping[str, Any]) -> Setting:
    """Return the outcome and terms of the `model` part of a results.json."""
    return Setting(outcome=model["outcome"], terms=tuple(model["terms"]))


def say_equal(setting: Setting, question: str) -> str:
    """Return what is held equal under a question: "at equal swipe-ups and story views"."""
    if question == AS_BOUGHT:
        return "as bought"
    columns = [name_column(name) for name in setting.list_numerics(question)]
    return f"at equal {join_words(columns)}" if columns else "with all else in the model equal"
