"""The tables of the report: rows of results.json as formatted text, nothing withheld among them.

Takes results as plain data. Knows no HTML: escaping is the template's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from influbayes.reporting.level_order import order_levels, sort_rows
from influbayes.reporting.notes import merge_notes
from influbayes.reporting.numbers import (
    NOTHING,
    format_count,
    format_number,
    format_probability,
    format_ratio,
    format_share,
    format_signed,
)
from influbayes.reporting.wording import name_column, say_mass, say_probability

Row = Mapping[str, Any]
QUESTION_WORDS = {"as_bought": "as bought", "engagement_constant": "engagement constant"}  # as written in tables
WITHHELD = "withheld"
MOST_CREATORS, MOST_POINTS, FEW_POSTS = 10, 20, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table ready to print: `left` columns of labels come first, the rest are numbers.

    `marks` are the classes of the rows (a status in a word), `wide` is the column that holds sentences.
    """

    id: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    marks: tuple[str, ...] = ()
    note: str = ""
    wide: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """The effects of a study with what may be said of each: statements by claim, ids of withheld rows."""

    rows: tuple[Row, ...]
    index: Mapping[tuple[Any, ...], Row]
    statements: Mapping[tuple[Any, ...], Row]
    hidden: frozenset[str]
    prob: float

    def pick(self, estimand: str, **fields: object) -> list[Row]:
        """Return the rows of an estimand whose fields have these values."""
        wanted = {"estimand": estimand, **fields}
        return [row for row in self.rows if all(row[name] == value for name, value in wanted.items())]

    def find(self, estimand: str, like: Row) -> Row | None:
        """Return the row of an estimand about the same question, variable, level and reference; None without one."""
        return self.index.get((estimand, *_list_parts(like)))


def _list_parts(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("question", "variable", "level", "reference"))


def read_estimates(results: Row) -> Estimates:
    """Return the estimates of a results.json; of a study withheld as a whole there are none."""
    rows = () if results["status"] == "withheld" else tuple(results["effects"])
    said = [row for row in results["statements"] if row["kind"] in ("beats", "step")]
    return Estimates(
        rows=rows,
        index={(row["estimand"], *_list_parts(row)): row for row in rows},
        statements={_list_parts(row): row for row in said},
        hidden=frozenset(results["withheld_effects"]),
        prob=results["provenance"]["prob"],
    )


def list_columns(results: Row, *, levels: str) -> list[str]:
    """Return the label columns of the model whose levels are `all` or a `sample`."""
    terms = [term["variable"] for term in results["model"]["terms"] if term["levels"] == levels]
    return list(dict.fromkeys(terms))


def list_questions(results: Row) -> list[str]:
    """Return the questions that were asked, the headline's first."""
    asked = {fit["question"] for fit in results["fits"]}
    return [question for question in QUESTION_WORDS if question in asked]


def tables_contrasts(results: Row, estimates: Estimates) -> list[Table]:
    """Return the comparisons of each question: difference per 100 posts, lift, odds ratio, probability."""
    return [
        table for name in list_questions(results) if (table := _table_contrasts(name, results, estimates)) is not None
    ]


def _table_contrasts(question: str, results: Row, estimates: Estimates) -> Table | None:
    columns = list_columns(results, levels="all")
    picked = [row for name in columns for row in estimates.pick("difference", question=question, variable=name)]
    effects = sort_rows(results, picked)
    rows = [_make_contrast_row(effect, estimates) for effect in effects]
    marks = [WITHHELD if row[-1] == WITHHELD else "" for row in rows]
    head = ("Column", "Level", "Against", "Difference per 100 posts", "Lift", "Odds ratio", "Probability it is better")
    caption = f"Comparisons, {QUESTION_WORDS[question]}, each with its {say_mass(estimates.prob)}"
    name = "contrasts" if question == list_questions(results)[0] else f"contrasts-{question}"
    return _make_table(name, caption, head, rows, marks, left=3)


def _make_contrast_row(effect: Row, estimates: Estimates) -> tuple[str, ...]:
    return (
        name_column(effect["variable"]),
        str(effect["level"]),
        effect["reference"] or "mean of levels",
        _write(effect, format_signed, estimates),
        _write(estimates.find("lift", effect), format_signed_share, estimates),
        _write(estimates.find("odds_ratio", effect), format_ratio, estimates),
        _find_probability(effect, estimates),
    )


def format_signed_share(value: float | None) -> str:
    """Return a relative change as per cent with its sign."""
    text = format_share(value)
    return f"+{text}" if value is not None and value > 0 else text


def _write(effect: Row | None, form: Any, estimates: Estimates) -> str:
    """Return "estimate (lower to upper)", or that it is withheld."""
    if effect is None:
        return NOTHING
    if effect["id"] in estimates.hidden:
        return WITHHELD
    return f"{form(effect['estimate'])} ({form(effect['lower']).removesuffix(' %')} to {form(effect['upper'])})"


def _find_probability(effect: Row, estimates: Estimates) -> str:
    """Return the probability of the statement about this comparison, with its bound, or that it is withheld."""
    said = estimates.statements.get(_list_parts(effect))
    if said is None:
        return format_probability(effect["probability"])
    if said["status"] == WITHHELD or said["probability"] is None:
        return WITHHELD
    return say_probability(said["probability"], at_least=said["at_least"], at_most=said["at_most"])


def table_steps(results: Row, estimates: Estimates) -> Table | None:
    """Return what a step of each numeric column is worth."""
    rows, marks = [], []
    for effect in (row for row in estimates.pick("odds_ratio") if row["step"] is not None):
        difference = estimates.find("difference", effect)
        rows.append(
            (
                f"{effect['step']:+,g} {name_column(effect['variable'])}",
                QUESTION_WORDS[effect["question"]],
                _write(effect, format_ratio, estimates),
                _write(difference, format_signed, estimates),
                _find_probability(effect, estimates),
            )
        )
        marks.append(WITHHELD if rows[-1][-1] == WITHHELD else "")
    head = ("Step", "Question", "Odds ratio", "Difference per 100 posts", "Probability the odds rise")
    return _make_table(
        "steps", f"Steps of numbers, each with its {say_mass(estimates.prob)}", head, rows, marks, left=2
    )


def table_levels(results: Row, estimates: Estimates) -> Table | None:
    """Return raw and expected conversion of every level of the `all` factors."""
    raw, rows = results["data"]["rates"]["levels"], []
    for column in list_columns(results, levels="all"):
        counted = raw.get(column, {})
        for level in (name for name in order_levels(results, column) if name in counted):
            counts = counted[level]
            rows.append((name_column(column), level, *_write_rates(counts, column, level, results, estimates)))
    return _make_rates("levels", "Expected conversion by level", ("Column", "Level"), rows, results, estimates)


def table_cells(results: Row, estimates: Estimates) -> Table | None:
    """Return raw and expected conversion of every cell that holds posts, with a word on those too few to judge."""
    rows = [
        (", ".join(cell["levels"]), *_write_rates(cell, cell["variable"], cell["level"], results, estimates))
        for cell in sort_rows(results, results["data"]["rates"]["cells"])
        if any(estimates.find("expected_value", {"question": name, **cell}) for name in list_questions(results))
    ]
    return _make_rates("cells", "Expected conversion by cell", ("Cell",), rows, results, estimates)


def _write_rates(counts: Row, variable: str, level: str, results: Row, estimates: Estimates) -> tuple[str, ...]:
    written = []
    for question in list_questions(results):
        found = estimates.find("expected_value", {"question": question, "variable": variable, "level": level})
        written.append(_write(found, format_share, estimates))
    return (format_count(counts["posts"]), write_raw(counts), *written)


def write_raw(counts: Row) -> str:
    """Return a raw rate, with a warning where it comes from fewer than ten posts or is 0 or 100 %."""
    rate, posts = counts["rate"], counts["posts"]
    lucky = rate is not None and (posts < FEW_POSTS or rate in (0, 1))
    return f"{format_share(rate)} *" if lucky else format_share(rate)


_LUCKY = "* fewer than 10 posts, or a raw rate of 0 or 100 %: too good or too bad to be true."


def _make_rates(
    name: str, caption: str, first: tuple[str, ...], rows: Sequence[tuple[str, ...]], results: Row, estimates: Estimates
) -> Table | None:
    questions = [f"Expected, {QUESTION_WORDS[question]}" for question in list_questions(results)]
    head = (*first, "Posts", "Raw rate", *questions)
    marks = [WITHHELD if WITHHELD in row else "" for row in rows]
    note = _LUCKY if any(row[len(first) + 1].endswith("*") for row in rows) else ""
    full = f"{caption}, share of posts with a conversion, {say_mass(estimates.prob)}"
    return _make_table(name, full, head, rows, marks, left=len(first), note=note)


def tables_creators(results: Row, estimates: Estimates) -> tuple[Table | None, Table | None]:
    """Return the top and bottom ten levels of the `sample` factors, and all of them where there are more."""
    columns = list_columns(results, levels="sample")
    question = list_questions(results)[0]
    found = [row for row in results["creators"] if row["variable"] in columns[:1] and question in row["expected"]]
    if not found or not estimates.rows:
        return None, None
    ordered = sorted(found, key=lambda row: (-(row["expected"][question]["estimate"] or 0.0), row["level"]))
    rows = [(row["level"], *_write_rates(row, row["variable"], row["level"], results, estimates)) for row in ordered]
    what = name_column(columns[0])
    ends = rows if len(rows) <= 2 * MOST_CREATORS else [*rows[:MOST_CREATORS], *rows[-MOST_CREATORS:]]
    title = f"Expected conversion by {what}" + (", top and bottom ten" if len(rows) > len(ends) else "")
    short = _make_rates("creators", title, (what.capitalize(),), ends, results, estimates)
    every = _make_rates("creators-all", f"Every {what}", (what.capitalize(),), rows, results, estimates)
    return short, every if len(rows) > len(ends) else None


def table_ranks(results: Row, estimates: Estimates) -> Table | None:
    """Return rank and probability of being best of every level."""
    rows = []
    for column in list_columns(results, levels="all"):
        ranks = [
            row for name in list_questions(results) for row in estimates.pick("rank", variable=column, question=name)
        ]
        for rank in sort_rows(results, ranks):
            best = estimates.find("probability_best", rank)
            chance = format_probability(best["estimate"]) if best else NOTHING
            words = f"{rank['estimate']:.0f} ({rank['lower']:.0f} to {rank['upper']:.0f})"
            rows.append((name_column(column), str(rank["level"]), QUESTION_WORDS[rank["question"]], words, chance))
    head = ("Column", "Level", "Question", "Rank (1 = best)", "Probability of being best")
    return _make_table("ranks", f"Ranks, with {say_mass(estimates.prob)}", head, rows, left=3)


def table_checks(results: Row) -> Table | None:
    """Return observed and expected conversions of every group of posts."""
    kinds = {"cell": "cell", "tenth": "tenth", "creator_spread": "spread of totals", "row_spread": "spread"}
    rows, marks = [], []
    for check in results["checks"]:
        inside = _is_inside(check)
        low, middle, high = (format_number(check[name]) for name in ("lower", "expected", "upper"))
        rows.append(
            (
                check["subject"], kinds[check["kind"]], QUESTION_WORDS[check["question"]], format_count(check["posts"]),
                format_number(check["observed"], 4), f"{middle} ({low} to {high})", "inside" if inside else "outside",
            )
        )  # fmt: skip
        marks.append("" if inside else "fail")
    head = ("Group", "Kind", "Question", "Posts", "Conversions seen", "Expected, with its range", "Verdict")
    return _make_table("checks", "Does the model give back what was seen?", head, rows, marks, left=3)


def _is_inside(check: Row) -> bool:
    numbers = (check["lower"], check["observed"], check["upper"])
    return None not in numbers and check["lower"] <= check["observed"] <= check["upper"]


def table_calibration(results: Row) -> Table | None:
    """Return points of the calibration line, at most twenty a question."""
    rows = []
    for curve in results["calibration"]:
        points = curve["points"]
        for index in sorted({round(k * (len(points) - 1) / (MOST_POINTS - 1)) for k in range(MOST_POINTS)}):
            point = points[index]
            band = f"{format_share(point['lower'])} to {format_share(point['upper'])}"
            shares = (format_share(point["predicted"]), format_share(point["observed"]), band)
            rows.append((QUESTION_WORDS[curve["question"]], *shares))
    head = ("Question", "Predicted chance", "Share that converted", "Range if the model is right (99 %)")
    return _make_table("calibration", "Calibration, at evenly spaced posts", head, rows)


def tables_diagnostics(results: Row) -> tuple[Table | None, Table | None]:
    """Return the checks that did not pass, the worst first, and all checks; in words as well as colour."""
    order = {"fail": 0, "warn": 1, "not_assessed": 2, "pass": 3}
    found = sorted(results["diagnostics"], key=lambda row: order.get(row["status"], 0))
    notable = merge_notes([row for row in found if row["status"] != "pass"])
    every = _table_diagnostics("diagnostics", "All checks", found)
    return _table_diagnostics("notable", "Checks that did not pass", notable), every


def _table_diagnostics(name: str, caption: str, found: Sequence[Row]) -> Table | None:
    rows = [
        (
            row["status"].replace("_", " "), row["name"].replace("_", " "), row["meaning"], row["subject"],
            QUESTION_WORDS.get(row["question"], str(row["question"])), _write_plain(row["value"]),
            _write_plain(row["threshold"]), row["consequence"].replace("_", " "),
        )
        for row in found
    ]  # fmt: skip
    head = ("Status", "Check", "What it means", "About", "Question", "Value", "Limit", "Consequence")
    return _make_table(name, caption, head, rows, [row["status"] for row in found], left=5, wide=2)


def _write_plain(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.4g}"


def table_tenths(results: Row) -> Table | None:
    """Return raw rate and expected conversions of each tenth of each numeric column."""
    asked = list_questions(results)[-1]
    found = [row for row in results["checks"] if row["kind"] == "tenth" and row["question"] == asked]
    rows = []
    for row in found:
        column, _, tenth = row["subject"].rpartition(":")
        counts = (format_count(row["posts"]), format_share(row["raw_rate"]))
        rows.append(
            (name_column(column), tenth, *counts, format_number(row["observed"]), format_number(row["expected"]))
        )
    head = ("Column", "Tenth (1 = lowest)", "Posts", "Raw rate", "Conversions seen", "Conversions expected")
    return _make_table("tenths", f"Tenths of each column, {QUESTION_WORDS[asked]}", head, rows, left=2)


def table_terms(results: Row) -> Table | None:
    """Return the terms of the model with their priors and units."""
    rows = [
        (
            name_column(term["variable"]) if term["kind"] != "intercept" else "intercept",
            term["kind"], QUESTION_WORDS[term["question"]], term["prior"], term["reference"] or NOTHING,
        )
        for term in results["model"]["terms"]
    ]  # fmt: skip
    return _make_table(
        "terms", "What was assumed before", ("Term", "Kind", "Question", "Prior", "Reference"), rows, left=5
    )


def table_rejected(results: Row) -> Table | None:
    """Return where every row of the file went."""
    data = results["data"]
    rows = [("read", format_count(data["rows_read"])), ("used", format_count(data["rows_used"]))]
    rows += [(f"rejected: {reason}", format_count(count)) for reason, count in data["rejected"].items()]
    return _make_table("rows", "Every row accounted for", ("Rows", "Count"), rows)


def _make_table(
    name: str,
    caption: str,
    head: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    marks: Sequence[str] = (),
    *,
    left: int = 1,
    note: str = "",
    wide: int | None = None,
) -> Table | None:
    if not rows:
        return None
    return Table(
        id=f"table-{name}",
        caption=caption,
        head=head,
        rows=tuple(rows),
        marks=tuple(marks),
        left=left,
        note=note,
        wide=wide,
    )
