"""What leaving creators out costs: the coverage measured on simulated tables like the bundled sample, in words.

`benchmarks/creators_coverage.py` measures; a test holds the figures here and its record in `benchmarks/results/`
together. Knows no table and no fit.
"""

from __future__ import annotations

from collections.abc import Mapping

TABLES = 400
"""Tables simulated with the bundled sample's posts, creators and standard deviation of creators."""

COVERAGE: Mapping[str, float] = {"conversion": 0.84, "conversion_creator": 0.91}
"""Share of the 90 % intervals of tier contrasts that held the truth."""


def say_coverage() -> str:
    """Say how often intervals held the truth with creators in the model and without."""
    shares = {name: f"{share:.0%}".replace("%", " %") for name, share in COVERAGE.items()}
    return (
        f"On {TABLES:,} simulated tables like the bundled sample, 90 % intervals of differences between tiers held "
        f"the truth {shares['conversion_creator']} of the time with creator effects, {shares['conversion']} without."
    )
