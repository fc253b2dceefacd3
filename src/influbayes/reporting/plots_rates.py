"""Pictures of conversion rates: the map of cells, rates by level and by creator.

Takes an analysis, its results as plain data and the ids of withheld cells; knows nothing of files or pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from influbayes.effects.estimands import Effect
from influbayes.reporting.level_order import order_levels
from influbayes.reporting.numbers import format_count, format_share
from influbayes.reporting.plots_contrasts import order_questions
from influbayes.reporting.plots_style import (
    BLUE,
    FAINT,
    INK,
    ORANGE,
    SOFT,
    clean_label,
    draw_note,
    escape_math,
    new_figure,
    show_percent,
    strip_axes,
    title_column,
)
from influbayes.reporting.results import ConversionAnalysis, QuestionResult
from influbayes.reporting.wording import name_column, name_levels, say_mass

FEW_POSTS = 10
MOST_COLUMNS, MOST_LEVELS, MOST_CREATORS = 6, 14, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRow:
    """One level: its raw rate, its estimate with interval (all 0 to 1), and its count of posts."""

    variable: str
    label: str
    posts: int
    raw: float | None
    estimate: float
    lower: float
    upper: float


def judge_luck(posts: int, rate: float | None, overall: float) -> str:
    """Return "too good to be true: 4 posts" for a cell with few posts or a raw rate of 0 or 100 %, else ""."""
    if rate is None or posts == 0 or (posts >= FEW_POSTS and 0 < rate < 1):
        return ""
    side = "good" if rate > overall or rate == 1 else "bad"
    return f"too {side} to be true: {posts} post{'' if posts == 1 else 's'}"


def draw_maps(analysis: ConversionAnalysis, results: Mapping[str, Any], cells: frozenset[str]) -> list[Figure]:
    """Draw one map for every pair of `all` factors that has cell estimates; `cells` are those withheld."""
    part = order_questions(analysis)[0]
    names = [term.column for term in part.fit.design.factors if term.levels == "all"]
    maps = (_draw_map(part, pair, results, cells) for pair in combinations(names, 2))
    return [figure for figure in maps if figure is not None]


def _draw_map(
    part: QuestionResult, pair: tuple[str, str], results: Mapping[str, Any], cells: frozenset[str]
) -> Figure | None:
    variable = ":".join(pair)
    found = {effect.level: effect for effect in part.effects if _is_expected(effect, variable)}
    if not found:
        return None
    counts = {row["level"]: row for row in results["data"]["rates"]["cells"] if row["variable"] == variable}
    down, across = sorted(pair, key=lambda name: -len(part.fit.design.levels[name]))
    rows, columns = (
        _pick_levels(results, down, counts, pair, MOST_LEVELS),
        _pick_levels(results, across, counts, pair, MOST_COLUMNS),
    )
    height = 1.75 + 0.82 * len(rows)
    figure = new_figure(
        height,
        title=f"What a post can be expected to bring, by {name_column(pair[0])} and {name_column(pair[1])}",
        subtitle=f"Expected share of posts with a conversion, {say_mass(part_prob(found))} below it, and posts in the\n"
        "cell. The darker, the more conversions. Hatched: the interval is wider than the estimate itself.",
    )
    ax = figure.subplots()
    shade = _make_shade(found, counts, cells)
    overall = _find_overall(results)
    for at_y, row in enumerate(rows):
        for at_x, column in enumerate(columns):
            level = f"{row}:{column}" if down == pair[0] else f"{column}:{row}"
            _draw_cell(ax, (at_x, at_y), found.get(level), counts.get(level), shade, level in cells, overall)
    _finish_map(ax, rows, columns, down, across)
    draw_note(figure, _say_map_note(part, (down, across), rows, columns), height)
    return figure


def part_prob(found: Mapping[Any, Effect]) -> float:
    """Return the probability mass of the intervals in a group of effects."""
    return next(iter(found.values())).prob


def _is_expected(effect: Effect, variable: str) -> bool:
    return effect.estimand == "expected_value" and effect.variable == variable


def _pick_levels(
    results: Mapping[str, Any], column: str, counts: Mapping[str, Any], pair: tuple[str, str], most: int
) -> list[str]:
    """Return the levels with most posts, in the one order of the page."""
    levels, position = order_levels(results, column), pair.index(column)
    posts = {
        level: sum(row["posts"] for row in counts.values() if row["levels"][position] == level) for level in levels
    }
    kept = set(sorted(levels, key=lambda level: (-posts[level], level))[:most])
    return [level for level in levels if level in kept]


def _find_overall(results: Mapping[str, Any]) -> float:
    levels: Mapping[str, Any] = next(iter(results["data"]["rates"]["levels"].values()), {})
    rows = levels.values()
    trials = sum(row["trials"] for row in rows)
    return sum(row["conversions"] for row in rows) / trials if trials else 0.5


def _make_shade(found: Mapping[Any, Effect], counts: Mapping[str, Any], cells: frozenset[str]) -> Any:
    """Return a function from estimate to colour, light to blue over the range of the cells that are shown."""
    values = [effect.estimate for level, effect in found.items() if level not in cells] or [0.0]
    low, high = min(values), max(values)
    colours = LinearSegmentedColormap.from_list("rates", ["#f2f6fa", "#8fc1e3", BLUE])
    return lambda value: colours(0.08 + 0.84 * (value - low) / ((high - low) or 1.0))


def _draw_cell(
    ax: Axes,
    at: tuple[int, int],
    effect: Effect | None,
    count: Mapping[str, Any] | None,
    shade: Any,
    withheld: bool,
    overall: float,
) -> None:
    """Draw one cell: its estimate, its interval, its posts; or why there is none."""
    x, y = at
    posts = int(count["posts"]) if count else 0
    if effect is None or withheld:
        _draw_blank(ax, at, "withheld" if withheld else "no posts", posts)
        return
    colour = shade(effect.estimate)
    wide = effect.upper - effect.lower > min(effect.estimate, 1 - effect.estimate)
    ax.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour, lw=0, hatch="///" if wide else None))
    ink = "white" if _is_dark(colour) else INK
    luck = judge_luck(posts, count["rate"] if count else None, overall)
    last = luck.replace("be true", "be\ntrue") if luck else _count_posts(posts)
    back = {"facecolor": colour, "edgecolor": "none", "pad": 1.2} if wide else None
    up = 0.07 if luck else 0.0
    ax.text(x, y - 0.22 - up, format_share(effect.estimate), ha="center", va="center", color=ink, fontsize=12,
            weight="bold", bbox=back)  # fmt: skip
    span = f"{format_share(effect.lower).removesuffix(' %')} to {format_share(effect.upper)}"
    ax.text(x, y + 0.07 - up, span, ha="center", va="center", color=ink, fontsize=8.5, bbox=back)
    ax.text(x, y + 0.3 - up / 2, last, ha="center", va="center", color=ink, fontsize=7.5, linespacing=1.1, bbox=back,
            style="italic" if luck else "normal")  # fmt: skip


def _draw_blank(ax: Axes, at: tuple[int, int], word: str, posts: int) -> None:
    x, y = at
    ax.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor="#e4e7ea", lw=0))
    ax.text(x, y - 0.08, word, ha="center", va="center", color=SOFT, fontsize=10, style="italic")
    if posts:
        ax.text(x, y + 0.22, _count_posts(posts), ha="center", va="center", color=SOFT, fontsize=8)


def _count_posts(posts: int) -> str:
    return f"{format_count(posts)} post{'' if posts == 1 else 's'}" if posts else "no posts yet"


def _is_dark(colour: Sequence[float]) -> bool:
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2] < 0.5


def _finish_map(ax: Axes, rows: Sequence[str], columns: Sequence[str], down: str, across: str) -> None:
    limit = max(8, 66 // max(1, len(columns)))
    ax.set_xticks(range(len(columns)), labels=[escape_math(clean_label(name, min(limit, 28))) for name in columns])
    ax.set_yticks(range(len(rows)), labels=[escape_math(clean_label(name, 20)) for name in rows])
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set_xlabel(escape_math(title_column(across)))
    ax.set_ylabel(escape_math(title_column(down)))
    ax.set_xlim(-0.5, len(columns) - 0.5)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _say_map_note(part: QuestionResult, names: tuple[str, str], rows: Sequence[str], columns: Sequence[str]) -> str:
    note = f"Fewer than {FEW_POSTS} posts, or a raw rate of 0 or 100 %: marked too good (or bad) to be true."
    levels = part.fit.design.levels
    if len(levels[names[0]]) > len(rows) or len(levels[names[1]]) > len(columns):
        note += "\nOnly the levels with most posts are drawn; all are in the table."
    return note


def draw_levels(analysis: ConversionAnalysis, results: Mapping[str, Any]) -> Figure | None:
    """Draw raw and expected rate of every level of the `all` factors; the ends only where there are many."""
    part = order_questions(analysis)[0]
    columns = [term.column for term in part.fit.design.factors if term.levels == "all"]
    groups = [_keep_ends(_gather_rates(part, column, results), MOST_LEVELS // 2) for column in columns]
    rows = [row for group in groups for row in group]
    if not rows:
        return None
    return _draw_rates(
        rows,
        title="Expected conversion by level, beside the raw rate",
        subtitle="The arrow goes from the raw rate of a level's own posts to what the model expects of the level when\n"
        "everything else is equal: small groups are pulled towards the rest, and unequal mixes are evened out.",
        note=f"Diamond: raw rate. Dot with line: expected rate, {say_mass(analysis.prob)}.",
    )


def draw_creators(analysis: ConversionAnalysis, results: Mapping[str, Any]) -> Figure | None:
    """Draw raw and expected rate of the top and bottom ten levels of the first `sample` factor."""
    part = order_questions(analysis)[0]
    columns = [term.column for term in part.fit.design.factors if term.levels == "sample"]
    rows = _gather_rates(part, columns[0], results) if columns else []
    if not rows:
        return None
    kept = _keep_ends(rows, MOST_CREATORS)
    many = len(rows) > len(kept)
    return _draw_rates(
        [replace(row, variable=_name_end(index, many)) for index, row in enumerate(kept)],
        title=f"Which {name_levels(columns[0])} convert best" + (": the top and bottom ten" if many else ""),
        subtitle="A raw rate from few posts is mostly luck. The model moves it towards the rate of alike posts,\n"
        "the further the fewer posts there are. Where lines overlap, the order is not settled.",
        note=f"Diamond: raw rate. Dot with line: expected rate, {say_mass(analysis.prob)}."
        + (f" All {format_count(len(rows))} are in the table." if many else ""),
    )


def _name_end(index: int, many: bool) -> str:
    return "" if not many else "Top ten" if index < MOST_CREATORS else "Bottom ten"


def _gather_rates(part: QuestionResult, column: str, results: Mapping[str, Any]) -> list[RateRow]:
    """Return the levels of a column with raw and expected rate, the highest expected first."""
    raw = results["data"]["rates"]["levels"].get(column, {})
    rows = [
        _make_rate(effect, raw.get(effect.level or "", {"posts": 0, "rate": None}))
        for effect in part.effects
        if _is_expected(effect, column)
    ]
    return sorted(rows, key=lambda row: (-row.estimate, row.label))


def _make_rate(effect: Effect, raw: Mapping[str, Any]) -> RateRow:
    return RateRow(
        variable=effect.variable, label=effect.level or "", posts=int(raw["posts"]), raw=raw["rate"],
        estimate=effect.estimate, lower=effect.lower, upper=effect.upper,
    )  # fmt: skip


def _keep_ends(rows: Sequence[RateRow], each: int) -> list[RateRow]:
    return list(rows) if len(rows) <= 2 * each else [*rows[:each], *rows[-each:]]


def _draw_rates(rows: Sequence[RateRow], *, title: str, subtitle: str, note: str) -> Figure:
    heights = _place_rates(rows)
    height = 1.75 + 0.3 * (heights[-1] + 1)
    figure = new_figure(height, title=title, subtitle=subtitle)
    ax = figure.subplots()
    last = ""
    for at, row in zip(heights, rows, strict=True):
        _draw_rate(ax, at, row)
        if row.variable != last:
            heading = row.variable if row.variable.endswith(" ten") else title_column(row.variable)
            ax.annotate(
                escape_math(heading), (0, at - 1), xycoords=ax.get_yaxis_transform(), weight="bold", va="center"
            )
        last = row.variable
    ax.set_yticks(heights, labels=[escape_math(clean_label(row.label)) for row in rows])
    ax.set_ylim(heights[-1] + 0.7, -0.6 if not rows[0].variable else -0.2)
    ax.annotate("posts", (1.01, 1.0), xycoords="axes fraction", fontsize=8, color=SOFT, va="bottom")
    span = _limit_rates(ax, rows)
    show_percent(ax, span=span)
    ax.set_xlabel("share of posts with a conversion")
    strip_axes(ax)
    draw_note(figure, note, height)
    return figure


def _place_rates(rows: Sequence[RateRow]) -> list[float]:
    heights, at, last = [], -1.0, ""
    for row in rows:
        at += 1.0 if row.variable == last else 2.0 if last or row.variable else 1.0
        last = row.variable
        heights.append(at)
    return heights


def _limit_rates(ax: Axes, rows: Sequence[RateRow]) -> float:
    top = max(max(row.upper, row.raw or 0.0) for row in rows)
    low = min(min(row.lower, row.raw if row.raw is not None else 1.0) for row in rows)
    room = (top - low) or 0.01
    ax.set_xlim(max(low - 0.06 * room, -0.02 * room), min(top + 0.06 * room, 1.0 + 0.02 * room))
    return room


def _draw_rate(ax: Axes, at: float, row: RateRow) -> None:
    ax.axhline(at, color=FAINT, lw=0.5, zorder=0)
    ax.plot((row.lower, row.upper), (at, at), color=BLUE, lw=2, solid_capstyle="butt")
    if row.raw is not None:
        ax.annotate(
            "", (row.estimate, at - 0.24), (row.raw, at - 0.24),
            arrowprops={"arrowstyle": "-|>", "color": ORANGE, "lw": 1.1, "shrinkA": 2, "shrinkB": 0},
        )  # fmt: skip
        ax.plot(row.raw, at - 0.24, "D", color="white", mec=ORANGE, mew=1.3, ms=4.5, clip_on=False, zorder=4)
    ax.plot(row.estimate, at, "o", color=BLUE, ms=5.5, zorder=5)
    ax.annotate(format_count(row.posts), (1.01, at), xycoords=ax.get_yaxis_transform(), va="center", fontsize=8,
                color=SOFT)  # fmt: skip
