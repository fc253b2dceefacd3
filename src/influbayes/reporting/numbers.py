"""How the numbers of tables and axes are written; what is missing or not finite is an en dash.

Takes numbers, returns text. Probabilities and sentences have their own words in `wording`.
"""

from __future__ import annotations

import math

from influbayes.effects.estimands import Probability
from influbayes.reporting.wording import MINUS, say_per_100, say_probability, say_ratio

NOTHING = "–"


def format_number(value: float | None, digits: int = 3) -> str:
    """Return a number with `digits` significant digits: 1,234; 12.3; 0.0123."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    text = f"{rounded:,.{max(0, places)}f}" if abs(rounded) >= 1e-4 else f"{rounded:.{digits - 1}e}"
    return text.replace("-", MINUS)


def format_share(value: float | None) -> str:
    """Return a share (0 to 1) as per cent: 34 %, 3.4 %, 0.34 %."""
    if value is None or not math.isfinite(value):
        return NOTHING
    size = abs(100 * value)
    decimals = 0 if size >= 9.95 or size == 0 else 1 if size >= 0.95 else 2
    return f"{100 * value:.{decimals}f} %".replace("-", MINUS)


def format_signed(value: float | None) -> str:
    """Return a number per 100 posts with its sign: +3.1, −0.4."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = say_per_100(value)
    return f"+{text}" if value > 0 else text


def format_ratio(value: float | None) -> str:
    """Return an odds ratio or a lift factor as `say_ratio` writes it."""
    return NOTHING if value is None or not math.isfinite(value) else say_ratio(value)


def format_probability(probability: Probability | float | None) -> str:
    """Return a probability as `say_probability` writes it, bounds included."""
    if isinstance(probability, Probability):
        return say_probability(probability.value, at_least=probability.at_least, at_most=probability.at_most)
    return NOTHING if probability is None or not math.isfinite(probability) else say_probability(probability)


def format_count(value: float | None) -> str:
    """Return a count with thousands separated by commas."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:,.0f}"
