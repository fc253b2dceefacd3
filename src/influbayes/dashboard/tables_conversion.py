"""The tables of the conversion page: rows of results.json as frames of numbers, what is withheld without its number.

Takes results as plain data; computes no estimate. Shares are per cent, differences per 100 posts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from influbayes.effects.contrasts import MEAN_OF_LEVELS
from influbayes.reporting.html_tables import (
    QUESTION_WORDS,
    WITHHELD,
    Estimates,
    list_columns,
    list_questions,
    read_estimates,
)
from influbayes.reporting.numbers import NOTHING
from influbayes.reporting.wording import name_column, say_probability

Row = Mapping[str, Any]
NOT_GIVEN = float("nan")
NUMBERS = ("estimate", "lower", "upper")
MOST_ENDS = 10
OF_CONTRASTS = {"difference": "Difference per 100 posts", "odds_ratio": "Odds ratio", "lift": "Lift"}


def tabulate_contrasts(results: Row, estimand: str, *, every_pair: bool = False) -> pd.DataFrame:
    """Return one row a comparison and question: column, level, against, question, numbers, probability, why withheld.

    Comparisons whose statement is withheld have no number at all. Without `every_pair` those against the reference.
    """
    estimates, references = read_estimates(results), find_references(results)
    rows = [
        _describe_contrast(effect, estimates)
        for question in list_questions(results)
        for column in list_columns(results, levels="all")
        for effect in estimates.pick(estimand, question=question, variable=column)
        if every_pair or effect["reference"] in (references.get(column), MEAN_OF_LEVELS)
    ]
    return pd.DataFrame(rows, columns=["label", "group", "column", "level", "against", *NUMBERS, "chance", "note"])


def find_references(results: Row) -> dict[str, str | None]:
    """Return factor -> its reference level."""
    return {term["variable"]: term["reference"] for term in results["model"]["terms"] if term["levels"] == "all"}


def find_statement(row: Row, estimates: Estimates) -> Row | None:
    """Return the statement about the comparison a row of effects is about."""
    return estimates.statements.get(tuple(row.get(name) for name in ("question", "variable", "level", "reference")))


def _describe_contrast(effect: Row, estimates: Estimates) -> dict[str, Any]:
    said = find_statement(effect, estimates)
    hidden = effect["id"] in estimates.hidden or (said is not None and said["status"] == WITHHELD)
    against = effect["reference"] or MEAN_OF_LEVELS
    return {
        "label": f"{effect['level']} vs {against}",
        "group": QUESTION_WORDS[effect["question"]],
        "column": name_column(effect["variable"]),
        "level": effect["level"],
        "against": against,
        **{name: NOT_GIVEN if hidden else _read(effect[name]) for name in NUMBERS},
        "chance": WITHHELD if hidden else _say_chance(effect, said),
        "note": _say_why(said) if hidden else f"P({effect['level']} better) {_say_chance(effect, said)}",
    }


def _read(value: float | None) -> float:
    return NOT_GIVEN if value is None else float(value)


def _say_chance(effect: Row, said: Row | None) -> str:
    if said is None or said["probability"] is None:
        return NOTHING if effect["probability"] is None else say_probability(effect["probability"])
    return say_probability(said["probability"], at_least=said["at_least"], at_most=said["at_most"])


def _say_why(said: Row | None) -> str:
    reasons = () if said is None else said["reasons"]
    return " ".join(reasons) or "A check of the model failed."


def name_contrasts(frame: pd.DataFrame, estimand: str, prob: float) -> pd.DataFrame:
    """Return the table of comparisons with readable headers."""
    what = OF_CONTRASTS[estimand]
    return frame.rename(
        columns={
            "column": "Column",
            "level": "Level",
            "against": "Against",
            "group": "Question",
            "estimate": what,
            **name_ends(prob),
            "chance": "Probability it is better",
            "note": "Note",
        }
    ).drop(columns="label")


def name_ends(prob: float) -> dict[str, str]:
    """Return headers for the ends of intervals: "5 %" and "95 %" of a 90 % interval."""
    tail = 50 * (1 - prob)
    return {"lower": f"Lower end ({tail:.3g} %)", "upper": f"Upper end ({100 - tail:.3g} %)"}


def list_withheld(frame: pd.DataFrame) -> list[str]:
    """Return a sentence for each comparison without a number, with the reason."""
    hidden = frame[frame["chance"] == WITHHELD]
    return [f"{row.label}, {row.group}: withheld. {row.note}" for row in hidden.itertuples()]


def tabulate_cells(results: Row, question: str) -> pd.DataFrame:
    """Return one row a cell of the first two label columns: posts, raw rate and expected conversions, per 100 posts."""
    estimates = read_estimates(results)
    rows = []
    for cell in results["data"]["rates"]["cells"]:
        found = estimates.find("expected_value", {"question": question, **cell})
        if found is None or len(cell["levels"]) != 2:
            continue
        hidden = found["id"] in estimates.hidden
        rows.append(
            {
                "first": cell["levels"][0],
                "second": cell["levels"][1],
                "label": f"{cell['levels'][0]}, {cell['levels'][1]}",
                "posts": cell["posts"],
                "raw": 100 * _read(cell["rate"]),
                **{name: NOT_GIVEN if hidden else 100 * _read(found[name]) for name in NUMBERS},
                "note": "withheld: the model does not fit this cell" if hidden else f"{cell['posts']:,} posts",
            }
        )
    return pd.DataFrame(rows, columns=["first", "second", "label", "posts", "raw", *NUMBERS, "note"])


def name_rates(frame: pd.DataFrame, prob: float, **first: str) -> pd.DataFrame:
    """Return a table of expected conversions with readable headers; `first` renames the label columns."""
    kept = [*first, "posts", "raw", *NUMBERS]
    names = {
        **first,
        "posts": "Posts",
        "raw": "Raw rate (per 100 posts)",
        "estimate": "Expected (per 100 posts)",
        **name_ends(prob),
    }
    return frame[kept].rename(columns=names)


def tabulate_creators(results: Row, question: str) -> pd.DataFrame:
    """Return every creator, the highest expected conversions first; empty where the model has none."""
    columns, hidden = list_columns(results, levels="sample"), frozenset(results["withheld_effects"])
    rows = [
        {
            "label": row["level"],
            "posts": row["posts"],
            "raw": 100 * _read(row["rate"]),
            **{name: 100 * _read(row["expected"][question][name]) for name in NUMBERS},
            "note": f"{row['posts']:,} posts",
        }
        for row in results["creators"]
        if row["variable"] in columns[:1]
        and question in row["expected"]
        and row["expected"][question]["effect"] not in hidden
        and results["status"] != WITHHELD
    ]
    frame = pd.DataFrame(rows, columns=["label", "posts", "raw", *NUMBERS, "note"])
    return frame.sort_values(["estimate", "label"], ascending=[False, True], ignore_index=True)


def take_ends(frame: pd.DataFrame, most: int = MOST_ENDS) -> pd.DataFrame:
    """Return the first and last rows of a sorted frame, all of them where there are few."""
    return frame if len(frame) <= 2 * most else pd.concat([frame.head(most), frame.tail(most)], ignore_index=True)


def tabulate_positions(positions: Iterable[Any], shown: pd.DataFrame) -> pd.DataFrame:
    """Return P(worse), P(practically equal), P(better) in per cent of the comparisons in `shown` that have a number.

    `positions` come from `effects.equivalence.place_contrasts`.
    """
    open_rows = shown[shown["chance"] != WITHHELD]
    wanted = set(zip(open_rows["group"], open_rows["level"], open_rows["against"], strict=True))
    rows = [
        {
            "label": f"{row.level} vs {row.reference}",
            "worse": 100 * row.worse.value,
            "equal": 100 * row.equal.value,
            "better": 100 * row.better.value,
        }
        for row in positions
        if (QUESTION_WORDS[row.question], row.level, row.reference) in wanted
    ]
    return pd.DataFrame(rows, columns=["label", "worse", "equal", "better"])


def list_withheld_pairs(results: Row) -> dict[tuple[str, str], str]:
    """Return (level, reference) -> why their comparison as bought is withheld."""
    return {
        (str(row["level"]), str(row["reference"])): " ".join(row["reasons"])
        for row in results["statements"]
        if row["kind"] == "beats" and row["question"] == "as_bought" and row["status"] == WITHHELD
    }


def tabulate_calibration(results: Row, question: str) -> pd.DataFrame:
    """Return the calibration line of a question in per cent: predicted, observed, and the band of a right model."""
    points: Sequence[Row] = next((c["points"] for c in results["calibration"] if c["question"] == question), ())
    names = {
        "predicted": "Predicted (%)",
        "observed": "Converted (%)",
        "lower": "Band, low (%)",
        "upper": "Band, high (%)",
    }
    return pd.DataFrame([{title: 100 * _read(point[name]) for name, title in names.items()} for point in points])
