"""Pictures of comparisons: the posterior of each contrast, and the forest of odds ratios.

Takes an analysis and the ids of withheld statements; knows nothing of files or pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from influbayes.effects.contrasts import MEAN_OF_LEVELS
from influbayes.effects.estimands import Claim, Effect
from influbayes.hierarchy.design import FloatArray
from influbayes.reporting.numbers import format_probability
from influbayes.reporting.plots_style import (
    BLUE,
    FAINT,
    GREY,
    INK,
    ORANGE,
    SOFT,
    clean_label,
    draw_note,
    escape_math,
    estimate_density,
    keep_order,
    label_rows,
    limit_odds,
    new_figure,
    show_odds,
    strip_axes,
    title_column,
)
from influbayes.reporting.results import ConversionAnalysis, QuestionResult
from influbayes.reporting.wording import name_column, say_mass

MOST_ROWS = 12
QUESTION_TITLES = {"as_bought": "As bought", "engagement_constant": "Engagement constant"}
ROW = 0.46


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """One comparison in one question: its draws on the axis that is shown, and what is said of it."""

    variable: str
    level: str
    reference: str | None
    draws: FloatArray
    probability: str
    withheld: bool


def draw_contrasts(analysis: ConversionAnalysis, withheld: frozenset[str]) -> Figure | None:
    """Draw the posterior density of every contrast with the reference; None where nothing is compared."""
    picked = pick_claims(analysis)
    panels = [(part, [_make_contrast(claim, part, withheld) for claim in claims]) for part, claims in picked if claims]
    if not panels:
        return None
    rows = panels[0][1]
    height = 1.75 + ROW * (len(rows) + _count_groups(rows))
    figure = new_figure(
        height,
        title="How sure is it that a level beats its reference?",
        subtitle="Each hill shows where the difference lies, given these posts. Blue: the part in which the level\n"
        "beats the reference. The number beside a hill is the probability of that part.",
    )
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (part, contrasts) in zip(axes, panels, strict=True):
        _draw_panel(ax, contrasts, as_odds=part.fit.design.question == "engagement_constant")
        ax.set_title(QUESTION_TITLES[part.fit.design.question])
    _label_groups(axes[0], rows)
    draw_note(figure, _say_references(rows, len(panels)), height)
    return figure


def order_questions(analysis: ConversionAnalysis) -> list[QuestionResult]:
    """Return the questions with the headline's, as bought, first."""
    return sorted(analysis.questions, key=lambda part: part.fit.design.question != "as_bought")


def pick_claims(analysis: ConversionAnalysis) -> list[tuple[QuestionResult, list[Claim]]]:
    """Return the questions with the comparisons that are drawn: the same rows, in the same order, for each.

    Comparisons are those with each factor's reference; of a factor with many levels only the ends, by the first
    question.
    """
    parts = order_questions(analysis)
    if not parts:
        return []
    rows = [_name_claim(claim) for claim in _pick_rows(parts[0])]
    return [(part, _match_rows(part, rows)) for part in parts]


def _pick_rows(part: QuestionResult) -> list[Claim]:
    chosen: list[Claim] = []
    for term in part.fit.design.factors:
        mine = [claim for claim in part.claims if claim.kind == "beats" and claim.variable == term.column]
        against = [claim for claim in mine if claim.reference in (term.reference, MEAN_OF_LEVELS)]
        ordered = sorted(against or mine, key=lambda claim: (-float(np.median(claim.margin)), claim.level or ""))
        chosen += ordered if len(ordered) <= MOST_ROWS else [*ordered[: MOST_ROWS // 2], *ordered[-MOST_ROWS // 2 :]]
    return chosen


def _name_claim(claim: Claim) -> tuple[str, str | None, str | None]:
    return claim.variable, claim.level, claim.reference


def _match_rows(part: QuestionResult, rows: Sequence[tuple[str, str | None, str | None]]) -> list[Claim]:
    known = {_name_claim(claim): claim for claim in part.claims if claim.kind == "beats"}
    return [known[row] for row in rows if row in known]


def _make_contrast(claim: Claim, part: QuestionResult, withheld: frozenset[str]) -> Contrast:
    return Contrast(
        variable=claim.variable,
        level=claim.level or "",
        reference=claim.reference,
        draws=_rescale_margin(claim),
        probability=format_probability(part.probabilities[claim.id]),
        withheld=claim.id in withheld,
    )


def _rescale_margin(claim: Claim) -> FloatArray:
    """Return the margin as conversions per 100 posts (as bought) or as an odds ratio (engagement constant)."""
    flat = np.ravel(claim.margin)
    if claim.question == "engagement_constant":
        return np.asarray(np.exp(np.clip(flat, -50, 50)))
    return np.asarray(100.0 * flat)


def _count_groups(rows: Sequence[Contrast]) -> int:
    return len({row.variable for row in rows})


def _place_rows(rows: Sequence[Contrast]) -> list[float]:
    """Return the height of every row's foot: one unit a row, one more before each new variable for its heading."""
    heights, at, last = [], 0.0, ""
    for row in rows:
        at += 2.0 if row.variable != last else 1.0
        last = row.variable
        heights.append(at)
    return heights


def _draw_panel(ax: Axes, rows: Sequence[Contrast], *, as_odds: bool) -> None:
    feet = _place_rows(rows)
    low, high = _find_limits(rows, as_odds=as_odds)
    null = 1.0 if as_odds else 0.0
    ax.axvline(null, color=INK, lw=0.9)
    for foot, row in zip(feet, rows, strict=True):
        _draw_hill(ax, row, foot, (low, high), as_odds=as_odds)
    ax.set_xlim(low, high)
    ax.set_ylim(max(feet) + 0.25, 0.2)
    strip_axes(ax)
    if as_odds:
        show_odds(ax, low, high)
    ax.set_xlabel("odds ratio (1 = no difference)" if as_odds else "more conversions per 100 posts (0 = no difference)")
    ax.annotate("probability", (1.0, 0.995), xycoords="axes fraction", ha="right", va="top", fontsize=8, color=SOFT)


def _find_limits(rows: Sequence[Contrast], *, as_odds: bool) -> tuple[float, float]:
    """Return the ends of the shared axis: all but one draw in 500 on each side, with room for the numbers."""
    ends = [np.quantile(row.draws, [0.002, 0.998]) for row in rows]
    if as_odds:
        low, high = limit_odds([float(end[0]) for end in ends], [float(end[1]) for end in ends])
        return low / (high / low) ** 0.06, high * (high / low) ** 0.28
    low, high = min(0.0, *(float(end[0]) for end in ends)), max(0.0, *(float(end[1]) for end in ends))
    room = (high - low) or 1.0
    return low - 0.1 * room, high + 0.3 * room


def _draw_hill(ax: Axes, row: Contrast, foot: float, limits: tuple[float, float], *, as_odds: bool) -> None:
    """Draw one density on the scale of the axis, the favourable part in blue, median and 90 % below it."""
    change, back = (np.log, np.exp) if as_odds else (np.asarray, np.asarray)
    even = np.linspace(change(limits[0]), change(limits[1]), 401)
    grid = np.sort(np.append(even, 0.0))
    density = np.interp(grid, even, estimate_density(change(row.draws), even))
    hill = foot - 0.85 * density / (density.max() or 1.0)
    favour = grid >= 0
    shown = density > density.max() / 400
    colours = (GREY, GREY) if row.withheld else (BLUE, ORANGE)
    for side, colour, alpha in ((favour, colours[0], 0.85), (grid <= 0, colours[1], 0.55)):
        ax.fill_between(back(grid), foot, hill, where=side & shown, color=colour, alpha=alpha, lw=0, interpolate=False)
    ax.plot(back(grid[shown]), hill[shown], color=INK, lw=0.7)
    ax.plot(limits, (foot, foot), color=FAINT, lw=0.6, zorder=0)
    words = "withheld" if row.withheld else row.probability
    colour = SOFT if row.withheld else INK
    ax.annotate(
        words, (1.0, foot - 0.12), xycoords=ax.get_yaxis_transform(), ha="right", va="bottom", color=colour, fontsize=9
    )


def _label_groups(ax: Axes, rows: Sequence[Contrast]) -> None:
    """Write levels beside their hills, and the variable with its reference above the first of them."""
    feet, last = _place_rows(rows), ""
    ax.set_yticks([foot - 0.2 for foot in feet], labels=[escape_math(clean_label(row.level)) for row in rows])
    for foot, row in zip(feet, rows, strict=True):
        if row.variable != last:
            heading = escape_math(keep_order(f"{title_column(row.variable)} {say_against(row.reference)}"))
            ax.annotate(
                heading, (0.0, foot - 1.08), xycoords=ax.get_yaxis_transform(), fontsize=9, weight="bold",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85},
            )  # fmt: skip
        last = row.variable


def say_against(reference: str | None, limit: int = 28) -> str:
    """Return "against Mega", or against the mean of the levels."""
    if reference is None or reference == MEAN_OF_LEVELS:
        return "against the mean of the levels" if limit > 20 else "against the mean"
    return f"against {clean_label(reference, limit)}"


def _say_references(rows: Sequence[Contrast], questions: int) -> str:
    kept = "As bought: engagement differs as it did."
    kept += " Engagement constant: posts alike in what came after the purchase." if questions > 1 else ""
    many = f"\nOf more than {MOST_ROWS} levels only the ends are drawn; all are in the table."
    return kept + (many if len(rows) >= MOST_ROWS else "")


def draw_forest(analysis: ConversionAnalysis) -> Figure | None:
    """Draw odds ratios with 50 % and `prob` intervals, both questions side by side; None where there is none."""
    panels = [(part, _gather_forest(part, claims)) for part, claims in pick_claims(analysis)]
    labels = list(dict.fromkeys(label for _, rows in panels for label, _, _ in rows))
    if not labels:
        return None
    height = 1.95 + 0.3 * len(labels)
    figure = new_figure(
        height,
        title="Odds ratios: how much each level or step multiplies the odds of a conversion",
        subtitle="Right of 1 the odds rise, left of 1 they fall. An interval that crosses 1 leaves the direction open.",
    )
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True, sharex=True)[0]
    every = [effect for _, rows in panels for _, effect, _ in rows]
    low, high = limit_odds([effect.lower for effect in every], [effect.upper for effect in every])
    for ax, (part, rows) in zip(axes, panels, strict=True):
        _draw_forest_panel(ax, rows, labels)
        show_odds(ax, low, high)
        ax.set_title(QUESTION_TITLES[part.fit.design.question])
        ax.set_xlabel("odds ratio (logarithmic axis)")
    label_rows(axes[0], labels)
    draw_note(figure, f"Dot: median. Thick: 50 % interval. Thin: {say_mass(analysis.prob)}.", height)
    return figure


def _gather_forest(part: QuestionResult, claims: Sequence[Claim]) -> list[tuple[str, Effect, FloatArray]]:
    """Return (label, effect, log odds draws) of every comparison with a reference and every numeric step."""
    effects = {effect.id: effect for effect in part.effects}
    rows = []
    for claim in [*claims, *(claim for claim in part.claims if claim.kind == "step")]:
        found = _find_odds(claim, part, effects)
        if found is not None:
            rows.append((_name_row(claim), found, find_middle_half(claim, found, part)))
    return rows


def _find_odds(claim: Claim, part: QuestionResult, effects: dict[str, Effect]) -> Effect | None:
    """Return the odds ratio that belongs to a claim, whether the claim quotes it or not."""
    mine = (effects[name] for name in claim.effects if name in effects)
    same = (effect for effect in part.effects if _is_about(effect, claim))
    return next((effect for effect in (*mine, *same) if effect.estimand == "odds_ratio"), None)


def _is_about(effect: Effect, claim: Claim) -> bool:
    return (effect.variable, effect.level, effect.reference) == (claim.variable, claim.level, claim.reference)


def _name_row(claim: Claim) -> str:
    if claim.kind == "step":
        return f"{claim.step:+,g} {clean_label(name_column(claim.variable))}"
    return keep_order(f"{clean_label(claim.level or '', 22)} {say_against(claim.reference, 14)}")


def find_middle_half(claim: Claim, effect: Effect, part: QuestionResult) -> FloatArray:
    """Return the ends (2,) of the 50 % interval of an odds ratio, from the fit's own coefficients.

    The log odds ratio of a step is the slope times a constant, which the ends of its reported interval give.
    """
    design, draws = part.fit.design, part.fit.draws
    if claim.kind == "step" or claim.level is None:
        tail = (1 - effect.prob) / 2
        slope = np.quantile(claim.margin, [tail, 0.25, 0.75, 1 - tail])
        length = np.log(effect.upper / effect.lower) / ((slope[3] - slope[0]) or 1.0)
        return np.asarray(effect.lower * np.exp(length * (slope[1:3] - slope[0])))
    values, levels = draws[f"effect_{claim.variable}"], design.levels[claim.variable]
    against = values[..., levels.index(claim.reference)] if claim.reference in levels else values.mean(axis=-1)
    return np.asarray(np.exp(np.quantile(values[..., levels.index(claim.level)] - against, [0.25, 0.75])))


def _draw_forest_panel(ax: Axes, rows: Sequence[tuple[str, Effect, FloatArray]], labels: Sequence[str]) -> None:
    ax.axvline(1.0, color=INK, lw=0.9)
    for label, effect, middle in rows:
        at = labels.index(label)
        colour = BLUE if effect.lower > 1 else ORANGE if effect.upper < 1 else SOFT
        ax.plot((effect.lower, effect.upper), (at, at), color=colour, lw=1.4, solid_capstyle="butt")
        ax.plot(tuple(middle), (at, at), color=colour, lw=4.5, solid_capstyle="butt")
        ax.plot(effect.estimate, at, "o", color="white", mec=colour, mew=1.6, ms=5.5)
    missing = set(labels) - {label for label, _, _ in rows}
    for label in missing:
        ax.annotate(
            "not in this question", (0.5, labels.index(label)), xycoords=ax.get_yaxis_transform(), fontsize=8,
            color=SOFT, ha="center", va="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
    ax.grid(axis="y", color=FAINT, lw=0.5)
    ax.set_axisbelow(True)
    strip_axes(ax)
