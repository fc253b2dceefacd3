"""The choices of a study as sections of the page: a heading, sentences and tables each, nothing withheld among them.

Takes results as plain data. Knows no HTML: escaping is the template's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from influbayes.reporting.beside_words import say_chance
from influbayes.reporting.decision_words import is_worth_asking, name_unit, say_amount, say_worth
from influbayes.reporting.html_tables import QUESTION_WORDS, WITHHELD, Table
from influbayes.reporting.level_order import sort_rows
from influbayes.reporting.numbers import (
    NOTHING,
    format_number,
    format_probability,
    format_ratio,
    format_share,
    format_signed,
)
from influbayes.reporting.wording import MINUS, name_column, say_mass

Row = Mapping[str, Any]

BUYING = {
    "premium": "What a post may cost",
    "information": "What more posts would be worth",
    "tracking": "How wrong the tracking would have to be",
    "equivalence": "What is practically equal",
    "populations": "With creators not seen before",
    "planned_mix": "With the planned mix",
}
BESIDE = {
    "frequentist": "What regressions say of the same posts",
    "creators": "How much evidence posts of the same creators carry",
    "comparison": "Which specification predicts best",
    "priors": "What the priors say before any post",
}
_PICTURES = {"premium": "premium", "tracking": "tracking", "frequentist": "regressions"}
NO_GLMM = (
    "A regression with random intercepts of creators is not among them: the only one in a library used here "
    "(statsmodels) is a variational approximation, no likelihood fit, and has no confidence intervals. The errors "
    "clustered by creator, and this model with its effects of creators, stand in its place."
)
_METHODS = {"wald": "Maximum likelihood", "clustered": "The same, clustered errors", "firth": "Firth"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One decision on the page; `picture` is the start of the names of its pictures."""

    heading: str
    picture: str
    sentences: tuple[str, ...]
    tables: tuple[Table, ...]


def group_decisions(results: Row) -> dict[str, list[Part]]:
    """Return the parts of the page: `buying`, and `beside` for what is compared with the model."""
    return {
        "buying": [part for kind, heading in BUYING.items() for part in _make_parts(results, kind, heading)],
        "beside": [part for kind, heading in BESIDE.items() for part in _make_parts(results, kind, heading)],
    }


def _make_parts(results: Row, kind: str, heading: str) -> list[Part]:
    parts: list[Part] = []
    for decision in (row for row in results["decisions"] if row["kind"] == kind):
        question = decision["inputs"].get("question")
        first = not parts
        parts.append(
            Part(
                heading=heading if question is None else f"{heading}, {QUESTION_WORDS[question]}",
                picture=_PICTURES.get(kind, "") if first else "",
                sentences=tuple(decision["sentences"]),
                tables=list_decision_tables(decision, results),
            )
        )
    return parts


def list_decision_tables(decision: Row, results: Row) -> tuple[Table, ...]:
    """Return the tables of one decision; none where it is withheld."""
    return tuple(_TABLES[decision["kind"]](decision, results)) if decision["rows"] else ()


def _write(row: Row, form: Callable[[float], str]) -> str:
    if None in (row["estimate"], row["lower"], row["upper"]):
        return NOTHING
    return f"{form(row['estimate'])} ({form(row['lower']).removesuffix(' %')} to {form(row['upper'])})"


def _tables_premium(decision: Row, results: Row) -> list[Table]:
    inputs, mass = decision["inputs"], say_mass(decision["inputs"]["prob"])
    money = inputs["values"] is not None
    form = say_amount if money else format_ratio
    open_rows = [row for row in decision["rows"] if row["status"] != "withheld"]
    pairs = [
        (
            row["level"],
            row["reference"],
            _write(row["break_even"], form),
            NOTHING if row["asked"] is None else form(row["asked"]),
            NOTHING if row["probability"] is None else say_chance(row),
        )
        for row in open_rows
    ]
    what = "Break-even premium per post" if money else "Break-even multiple of the fee"
    found = [
        Table(
            id="table-premium",
            caption=f"{what}, with its {mass}",
            head=("Level", "Over", what, "Asked", "Probability it is worth that"),
            rows=tuple(pairs),
            left=2,
            note="In the currency of the fees and values. Every pair stands here both ways." if money else "",
        )
    ]
    return [*found, _table_buys(decision)]


def _table_buys(decision: Row) -> Table:
    money = decision["inputs"]["unit"] in ("currency", "value per post")

    def form(value: float) -> str:
        return say_worth(value, decision)

    rows = [
        (
            row["label"],
            NOTHING if row["fee"] is None else say_amount(row["fee"]),
            NOTHING if row["value"] is None else say_amount(row["value"]),
            _write(row["worth"], form),
            format_probability(row["probability_best"]),
            form(row["regret"]),
        )
        for row in decision["inputs"]["options"]
    ]
    worth = "Net value per post" if decision["inputs"]["unit"] == "currency" else "Worth per post"
    worth = worth if money else name_unit(decision).capitalize()
    brings = "Value of a conversion" if money else "Purchases of a conversion"
    head = ("Level", "Fee", brings, worth, "Probability it is best", "Expected regret")
    known = [k for k in range(len(head)) if k == 0 or any(row[k] != NOTHING for row in rows)]
    return Table(
        id="table-buys",
        caption=f"Each as a buy of its own, with its {say_mass(decision['inputs']['prob'])}",
        head=tuple(head[k] for k in known),
        rows=tuple(tuple(row[k] for k in known) for row in rows),
        note="Expected regret: what choosing it now loses on average against the best, were every rate known.",
    )


def _tables_information(decision: Row, results: Row) -> list[Table]:
    rows = sorted(decision["rows"], key=lambda row: (-row["value"], row["label"]))
    posts = decision["inputs"]["posts"]
    if not is_worth_asking(decision):
        return []
    return [
        Table(
            id="table-information",
            caption=f"Worth of {posts} more posts of one kind, for each post bought after",
            head=("Posts of", f"Worth, {name_unit(decision)}", "Share of knowing everything"),
            rows=tuple((row["label"], say_worth(row["value"], decision), format_share(row["share"])) for row in rows),
            note="Never below 0: what was learnt may be ignored. The posts' own conversions are not counted.",
        )
    ]


def _tables_tracking(decision: Row, results: Row) -> list[Table]:
    rows = [
        (
            row["ahead"],
            row["behind"],
            _write(row["missed"], format_share),
            _write(row["leaked"], format_share),
        )
        for row in decision["rows"]
    ]
    head = ("Ahead", "Behind", "Conversions of the one behind missed", "Posts of the one ahead wrongly credited")
    caption = f"Tracking error that turns the order, with its {say_mass(decision['inputs']['prob'])}"
    return [Table(id="table-tracking", caption=caption, head=head, rows=tuple(rows), left=2)]


def _tables_equivalence(decision: Row, results: Row) -> list[Table]:
    question = decision["inputs"]["question"]
    rows = [
        (name_column(row["variable"]), row["level"], row["reference"], format_probability(row["probability"]))
        for row in decision["rows"]
    ]
    bound = decision["inputs"]["threshold"]
    caption = f"Odds ratio between {1 / bound:.3g} and {bound:.4g}, {QUESTION_WORDS[question]}"
    head = ("Column", "Level", "Against", "Probability that they are practically equal")
    return [Table(id=f"table-equal-{question}", caption=caption, head=head, rows=tuple(rows), left=3)]


def _tables_populations(decision: Row, results: Row) -> list[Table]:
    known = {row["id"]: row for row in results["effects"]}
    hidden = set(results["withheld_effects"])
    rows = []
    for row in decision["rows"]:
        at_hand = known.get(row["id"].rsplit("/", 1)[0])
        if row["estimand"] == "difference" and at_hand is not None and at_hand["id"] not in hidden:
            numbers = (_write(one, format_signed) for one in (at_hand, row))
            chance = format_probability(row["probability"])
            rows.append((name_column(row["variable"]), row["level"], row["reference"], *numbers, chance))
    head = ("Column", "Level", "Against", "Creators at hand", "New creators", "Probability with new creators")
    caption = "Difference in conversions per 100 posts, for creators at hand and for new ones"
    note = "New creators: averaged over the population that the creators at hand were drawn from."
    return [Table(id="table-populations", caption=caption, head=head, rows=tuple(rows), left=3, note=note)]


def _tables_mix(decision: Row, results: Row) -> list[Table]:
    """The estimands of each comparison under the planned shares; a withheld comparison is not among them."""
    forms: dict[str, Callable[[float], str]] = {
        "difference": format_signed,
        "lift": format_share,
        "average_odds_ratio": format_ratio,
    }
    names = {"difference": "difference per 100 posts", "lift": "lift", "average_odds_ratio": "odds ratio of averages"}
    rows = [
        (
            row["level"],
            row["reference"],
            names[row["estimand"]],
            _write(row, forms[row["estimand"]]),
            format_probability(row["probability"]),
        )
        for row in decision["rows"]
        if row["estimand"] in forms
    ]
    head = ("Level", "Against", "Estimand", "Estimate", "Probability it is better")
    caption = f"Comparisons with the planned mix, each with its {say_mass(decision['inputs']['prob'])}"
    note = f"Population: {decision['inputs']['population']}."
    return [Table(id="table-mix", caption=caption, head=head, rows=tuple(rows), left=3, note=note)]


def _tables_frequentist(decision: Row, results: Row) -> list[Table]:
    question = decision["inputs"]["question"]
    mine = {row["id"]: row for row in results["effects"]}
    theirs = {row["id"]: row for row in results["frequentist"]}
    bases = list(dict.fromkeys(key.rsplit("/", 1)[0] for key in decision["effects"]))
    methods = [name for name in _METHODS if any(key.endswith(f"/{name}") for key in decision["effects"])]
    hidden = {_name_pair(row) for row in decision["rows"] if row.get("status") == "withheld"}
    rows = []
    for model in sort_rows(results, [mine[base] for base in bases if base in mine]):
        cells = [_write(theirs[f"{model['id']}/{name}"], format_ratio) for name in methods]
        labels = (name_column(model["variable"]), model["level"] or "one step", model["reference"] or "")
        rows.append((*labels, WITHHELD if _name_pair(model) in hidden else _write(model, format_ratio), *cells))
    name = "regressions" if question == "as_bought" else f"regressions-{question}"
    table = Table(
        id=f"table-{name}",
        caption=f"Odds ratios, {QUESTION_WORDS[question]}: this model with its {say_mass(decision['inputs']['prob'])}, "
        "regressions with confidence intervals of the same mass",
        head=("Column", "Level", "Against", "This model", *(_METHODS[method] for method in methods)),
        rows=tuple(rows),
        left=3,
        note=" ".join([*decision["inputs"]["notes"], *([NO_GLMM] if "clustered" in methods else [])]),
    )
    return [table, _table_gaps(decision, name)]


def _name_pair(row: Row) -> tuple[Any, ...]:
    return (row["variable"], row["level"], row["reference"])


def _write_gap(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", MINUS)


def _table_gaps(decision: Row, name: str) -> Table:
    numbers = ("gap", "creators", "pooling", "prior")
    rows = [
        (
            name_column(row["variable"]),
            row["level"] or "one step",
            row["reference"] or "",
            *(NOTHING if row[part] is None else _write_gap(row[part]) for part in numbers),
        )
        for row in decision["rows"]
        if row.get("status") != "withheld"
    ]
    return Table(
        id=f"table-{name}-gaps",
        caption="Where the gap to the regression comes from, in log odds",
        head=("Column", "Level", "Against", "Gap", "Telling creators apart", "Pooling", "Priors"),
        rows=tuple(rows),
        left=3,
        note="The parts add to the gap. Against maximum likelihood. "
        if decision["inputs"]["exists"]
        else "The parts add to the gap. Against Firth, because no maximum-likelihood estimate exists: pooling cannot "
        "be told from the other work of the priors then, and is part of it.",
    )


def _tables_creators(decision: Row, results: Row) -> list[Table]:
    rows = [
        (row["level"], row["reference"], format_probability(row["probability"]), format_probability(row["naive"]))
        for row in decision["rows"]
        if row["front"]
    ]
    rough = any(row["source"] == "design_effect" for row in decision["rows"])
    note = "Without creators: the posterior narrowed by the design effect, which is rough." if rough else ""
    head = ("Level", "Against", "Probability that it beats", "The same, creators ignored")
    caption = "What ignoring creators would do to the answer"
    return [Table(id="table-clustering", caption=caption, head=head, rows=tuple(rows), left=2, note=note)]


def _tables_comparison(decision: Row, results: Row) -> list[Table]:
    rows = [
        (
            row["name"],
            format_number(row["elpd"], 4),
            format_number(row["difference"], 2),
            format_number(row["difference_se"], 2),
        )
        for row in decision["rows"]
    ]
    head = ("Specification", "Log score of left-out posts", "Difference from the best", "Its standard error")
    folds = decision["inputs"].get("folds")
    if folds is not None:
        caption = f"Whole creators left out, {folds} folds, exact refits, best first"
        return [Table(id="table-comparison-creators", caption=caption, head=head, rows=tuple(rows))]
    return [Table(id="table-comparison", caption="Leave-one-out, best first", head=head, rows=tuple(rows))]


def _tables_priors(decision: Row, results: Row) -> list[Table]:
    return []


_TABLES: dict[str, Callable[[Row, Row], Sequence[Table]]] = {
    "premium": _tables_premium,
    "information": _tables_information,
    "tracking": _tables_tracking,
    "equivalence": _tables_equivalence,
    "populations": _tables_populations,
    "planned_mix": _tables_mix,
    "frequentist": _tables_frequentist,
    "creators": _tables_creators,
    "comparison": _tables_comparison,
    "priors": _tables_priors,
}
