"""Makes words of numbers and names: the one table of probability words, formats, column names in human words.

Takes numbers and names. Knows no study, no effect and no check.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from influbayes.gate.wording import say_probability as say_probability

# One word for each band of `gate.thresholds.CUTS` (0.05, 0.20, 0.80, 0.95, 0.99); the middle band makes no claim.
WORDS = ("very probably not", "probably not", "cannot be told", "probably", "very probably", "almost certainly")

_COLUMN_WORDS = {
    "Swipe_Ups": "swipe-ups",
    "Story_Views": "story views",
    "Influencer_Tier": "tier",
    "Audience_Region": "region",
    "Creator_ID": "creator",
}
_PLURALS = {"Influencer_Tier": "tiers", "Audience_Region": "regions", "Creator_ID": "creators"}


MINUS = "\u2212"


def say_ratio(value: float) -> str:
    """Return a ratio with two significant digits: "1.8", "0.56", "12"; near 1, where they say too little, "1.27"."""
    if value < 0.001:
        return "below 0.001"
    if value >= 1000:
        return "above 1,000"
    if 0.95 <= value < 1.395:
        return f"{value:.2f}"
    if value < 1:
        return f"{value:#.2g}"
    return f"{value:.1f}" if value < 9.95 else f"{float(f'{value:.2g}'):.0f}"


def say_per_100(value: float) -> str:
    """Return a number per 100 posts with one decimal; two where one decimal would read 0.0."""
    text = f"{value:.2f}" if abs(value) < 0.05 else f"{value:.1f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)


def say_mass(prob: float) -> str:
    """Return "90 % credible interval"."""
    return f"{100 * prob:.10g} % credible interval"


def name_column(column: str) -> str:
    """Return a column in human words: "swipe-ups"; an unknown column as it is, quoted."""
    return _COLUMN_WORDS.get(column, f'"{column}"')


def name_levels(column: str) -> str:
    """Return what the levels of a column are called: "tiers"; for an unknown column 'levels of "Campaign"'."""
    return _PLURALS.get(column, f'levels of "{column}"')


def join_words(words: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def strip_controls(text: str) -> str:
    """Return text without control, format and surrogate characters, which could steer a terminal or hide words."""
    return "".join(" " if char in "\t\n\r" else char for char in text if char in "\t\n\r" or not _is_control(char))


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cf", "Cs"}
