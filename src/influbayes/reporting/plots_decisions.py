"""Pictures of choices: the premium a post is worth, tracking errors that turn the order, regressions beside the model.

Takes results as plain data; what is withheld has no rows there, so it is not drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from influbayes.reporting.decision_words import say_amount
from influbayes.reporting.level_order import sort_rows
from influbayes.reporting.plots_style import (
    BLUE,
    CHAINS,
    FAINT,
    GREEN,
    INK,
    ORANGE,
    SOFT,
    VERMILLION,
    clean_label,
    draw_note,
    escape_math,
    label_rows,
    limit_odds,
    new_figure,
    show_odds,
    show_percent,
    strip_axes,
)
from influbayes.reporting.wording import MINUS, join_words, name_column, say_mass, say_ratio

Row = Mapping[str, Any]
MOST_CURVES, MOST_ROWS = 6, 14
_METHODS = (
    ("model", "this model", BLUE, "o"),
    ("wald", "maximum likelihood", VERMILLION, "s"),
    ("clustered", "the same, clustered errors", ORANGE, "D"),
    ("firth", "Firth", GREEN, "^"),
)


def draw_decisions(results: Row) -> dict[str, Figure | None]:
    """Draw ``premium``, ``tracking`` and ``regressions`` (one a question at most) of the decisions that have rows."""
    found = {row["kind"]: row for row in reversed(results["decisions"]) if row["rows"]}
    regressions = [row for row in results["decisions"] if row["kind"] == "frequentist" and row["rows"]]
    bought = [row for row in regressions if row["inputs"]["question"] == "as_bought"]
    # With engagement constant the picture is worth its room where the regression has no estimate.
    held = [row for row in regressions if row["inputs"]["question"] != "as_bought" and not row["inputs"]["exists"]]
    return {
        "premium": draw_premium(found["premium"]) if "premium" in found else None,
        "tracking": draw_tracking(found["tracking"]) if "tracking" in found else None,
        "regressions": draw_regressions(bought[0], results) if bought else None,
        "regressions_engagement_constant": draw_regressions(held[0], results) if held else None,
    }


def draw_premium(decision: Row) -> Figure | None:
    """Draw P(worth the premium) along the premium, one curve a level, against the reference."""
    rows = [row for row in decision["rows"] if row["front"] and row["status"] != "withheld"][:MOST_CURVES]
    if not rows:
        return None
    money, height = decision["inputs"]["values"] is not None, 4.6
    other = clean_label(rows[0]["reference"])
    figure = new_figure(
        height,
        title=f"What a post may cost more than one of {other}",
        subtitle="Curve: probability that a post is worth the premium. It crosses one half at the break-even premium.\n"
        "Ring: the premium the fees ask.",
    )
    ax = figure.subplots()
    ax.axhline(0.5, color=FAINT, lw=1)
    for row, colour in zip(rows, CHAINS, strict=False):
        _draw_premium_curve(ax, row, colour, say_amount if money else say_ratio)
    ax.set_ylim(-0.02, 1.02)
    show_percent(ax, "y")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}".replace("-", MINUS)))
    ax.set_xlabel("premium per post, in the currency of the fees" if money else f"multiple of the fee of {other}")
    ax.set_ylabel("probability that it is worth it")
    ax.legend(loc="best")
    strip_axes(ax, keep_left=True)
    if decision["inputs"]["single_value"] and money:
        draw_note(figure, "One value was taken for every conversion, whichever the level.", height)
    return figure


def _draw_premium_curve(ax: Axes, row: Row, colour: str, say: Callable[[float], str]) -> None:
    outside = row["asked"] is not None and not row["premiums"][0] <= row["asked"] <= row["premiums"][-1]
    words = f" (asks {say(row['asked'])}, outside the picture)" if outside else ""
    label = escape_math(clean_label(row["level"])) + words.replace("-", MINUS)
    ax.plot(row["premiums"], row["probabilities"], color=colour, lw=1.8, label=label)
    ax.plot([row["break_even"]["estimate"]], [0.5], "|", color=colour, ms=12, mew=2)
    if row["asked"] is not None and not outside:
        ax.plot([row["asked"]], [row["probability"]], "o", mfc="white", mec=colour, mew=1.8, ms=8, clip_on=False)


def draw_tracking(decision: Row) -> Figure | None:
    """Draw the line of both tracking errors on which the order is even."""
    row, height = decision["rows"][0], 4.2
    ahead, behind = clean_label(row["ahead"]), clean_label(row["behind"])
    figure = new_figure(
        height,
        title=f"Tracking errors that turn the order of {ahead} and {behind}",
        subtitle=f"On the line the probability is one half. Below it {ahead} stays ahead, above it {behind} is.",
    )
    ax = figure.subplots()
    ax.plot(row["map_leaked"], row["map_missed"], color=INK, lw=1.8)
    ax.fill_between(row["map_leaked"], row["map_missed"], color=BLUE, alpha=0.12, lw=0)
    right, top = 1.25 * max(row["map_leaked"]) or 1.0, min(1.0, 1.25 * max(row["map_missed"])) or 1.0
    ax.set_xlim(0, right)
    ax.set_ylim(0, top)
    ax.text(0.04 * right, 0.06 * top, escape_math(f"{ahead} ahead"), color=BLUE, weight="bold")
    ax.text(0.97 * right, 0.93 * top, escape_math(f"{behind} ahead"), color=SOFT, weight="bold", ha="right", va="top")
    show_percent(ax, "x", span=right)
    show_percent(ax, "y", span=top)
    ax.set_xlabel(escape_math(f"posts of {ahead} without a purchase that were credited with one"))
    ax.set_ylabel(escape_math(f"conversions of {behind} missed"))
    strip_axes(ax, keep_left=True)
    return figure


def draw_regressions(decision: Row, results: Row) -> Figure | None:
    """Draw the odds ratios of the model beside those of the regressions."""
    mine = {row["id"]: row for row in results["effects"]}
    theirs = {row["id"]: row for row in results["frequentist"]}
    bases = [key for key in dict.fromkeys(name.rsplit("/", 1)[0] for name in decision["effects"]) if key in mine]
    wanted = {(row["variable"], row["level"], row["reference"]) for row in decision["rows"] if row["front"]}
    front = [key for key in bases if tuple(mine[key][part] for part in ("variable", "level", "reference")) in wanted]
    front = [row["id"] for row in sort_rows(results, [mine[key] for key in front])][:MOST_ROWS]
    if not front:
        return None
    height = 1.7 + 0.62 * len(front)
    mass = say_mass(decision["inputs"]["prob"]).removesuffix(" credible interval")
    question = "as bought" if decision["inputs"]["question"] == "as_bought" else "engagement constant"
    figure = new_figure(
        height,
        title="This model and the regressions a statistician would run",
        subtitle=f"Odds ratios, {question}, with {mass} intervals: credible for this model, else confidence intervals.",
    )
    ax = figure.subplots()
    drawn = [_draw_method(ax, kind, front, mine, theirs) for kind in _METHODS]
    ends = [(row["lower"], row["upper"]) for part in drawn for row in part]
    low, high = limit_odds([end[0] for end in ends], [end[1] for end in ends])
    ax.axvline(1, color=SOFT, lw=0.8, zorder=0)
    label_rows(ax, [_name_row(mine[key]) for key in front])
    show_odds(ax, max(low, 1e-3), min(high, 1e3))
    ax.set_xlabel("odds ratio (logarithmic axis)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.9 / height), ncols=4, handletextpad=0.3, columnspacing=1.2)
    strip_axes(ax)
    if not decision["inputs"]["exists"]:
        columns = clean_label(join_words(decision["inputs"]["columns"]), 60)
        draw_note(
            figure,
            f"No maximum-likelihood estimate: {columns} tell the outcomes apart. "
            "Gaps are the priors' work, not pooling's.",
            height,
        )
    return figure


def _draw_method(
    ax: Axes, kind: tuple[str, str, str, str], bases: Sequence[str], mine: Mapping[str, Row], theirs: Mapping[str, Row]
) -> list[Row]:
    name, words, colour, marker = kind
    shift = 0.17 * ([method[0] for method in _METHODS].index(name) - 1.5)
    rows = [(k, mine[key] if name == "model" else theirs.get(f"{key}/{name}")) for k, key in enumerate(bases)]
    known = [
        (k, row) for k, row in rows if row is not None and None not in (row["estimate"], row["lower"], row["upper"])
    ]
    for k, row in known:
        ax.plot([row["lower"], row["upper"]], [k + shift] * 2, color=colour, lw=1.6, solid_capstyle="butt")
    if known:
        points = [row["estimate"] for _, row in known], [k + shift for k, _ in known]
        ax.plot(*points, marker, color=colour, ms=5, label=words)
    return [row for _, row in known]


def _name_row(row: Row) -> str:
    if row["level"] is None:
        return clean_label(name_column(row["variable"]))
    return clean_label(f"{row['level']} / {row['reference'] or 'mean'}")
