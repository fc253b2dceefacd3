"""What can be moved on the conversion page: the bound of practical equality, fees and the value of a conversion.

Shows what exported functions answer for the saved draws of a run; holds no formula.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from influbayes.dashboard.charts_conversion import POSITIONS, draw_positions, draw_premiums
from influbayes.dashboard.charts_theme import choose_colours, escape_words, say, show_chart
from influbayes.dashboard.downloads import show_table
from influbayes.dashboard.run_index import StudyRun, load_posterior
from influbayes.dashboard.statements import frame_table
from influbayes.dashboard.tables_conversion import find_references, list_withheld_pairs, tabulate_positions
from influbayes.decisions.options import Options, gather_options
from influbayes.decisions.premium import Premium, price_premium
from influbayes.effects.averages import Averages, average_posts
from influbayes.effects.equivalence import place_contrasts
from influbayes.errors import InflubayesError
from influbayes.reporting.decision_tables import Origin, describe_premium
from influbayes.reporting.html_decisions import list_decision_tables
from influbayes.reporting.html_tables import QUESTION_WORDS, list_questions

TITLES = {"as_bought": "As bought", "engagement_constant": "Engagement constant"}
USUAL_BOUND, EXAMPLE_FEE = 1.2, 1000.0


def choose_question(run: StudyRun, key: str) -> str:
    """Let the user choose one of the questions that were asked and return it."""
    asked = list_questions(run.results)
    if len(asked) == 1:
        return asked[0]
    chosen = st.segmented_control("Question", asked, default=asked[0], format_func=TITLES.__getitem__, key=key)
    return str(chosen or asked[0])


def show_equality(run: StudyRun, ratios: pd.DataFrame) -> None:
    """Show how probably each comparison is practically equal, for a bound that can be moved."""
    st.subheader("What is practically equal?")
    question = choose_question(run, "conversion-equality-question")
    bound = st.slider(
        "Odds ratios up to this count as practically equal",
        min_value=1.05,
        max_value=2.0,
        value=_find_bound(run),
        step=0.05,
        key="conversion-bound",
        help="1.2: levels whose odds differ by less than a factor of 1.2 either way are the same to you.",
    )
    try:
        positions = place_contrasts(load_posterior(run, question), threshold=bound)
    except InflubayesError as reason:
        st.warning(escape_words(str(reason)))
        return
    frame = tabulate_positions(positions, ratios)
    if frame.empty:
        st.info("Every comparison of this question is withheld.")
        return
    names = {"label": "Comparison", **{name: f"P({words}) (%)" for name, words in POSITIONS.items()}}
    show_chart(
        draw_positions(frame, colours=choose_colours()),
        frame.rename(columns=names),
        key="conversion-equality",
        alt="Probability that each comparison is worse, practically equal or better, by the bound chosen.",
        note=f"Odds ratios from {1 / bound:.2f} to {bound:.2f} count as equal, {QUESTION_WORDS[question]}.",
    )


def _find_bound(run: StudyRun) -> float:
    """Return the bound that the run was asked with, where it lies on the slider, else the usual one."""
    given = [row["inputs"]["threshold"] for row in run.results["decisions"] if row["kind"] == "equivalence"]
    fits = bool(given) and 1.05 <= given[0] <= 2.0
    return float(given[0]) if fits else USUAL_BOUND


def show_premium(run: StudyRun) -> None:
    """Show what a post of each level may cost, for fees and a value of a conversion that can be moved."""
    st.subheader("What may a post cost?")
    try:
        averages = _keep_averages(run)
        plain = gather_options(averages.population.fit, averages=averages)
    except InflubayesError as reason:
        st.info(escape_words(str(reason)))
        return
    found = _find_money(run)
    fees, value = _ask_money(plain, found)
    against = st.selectbox(
        "Compare against", plain.labels, index=_find_reference(run, plain), key="conversion-premium-against"
    )
    try:
        options = gather_options(averages.population.fit, fees=fees, values=value, averages=averages)
        premium = price_premium(options, prob=run.results["provenance"]["prob"])
    except InflubayesError as reason:
        st.warning(escape_words(str(reason)))
        return
    _show_pricing(run, premium, options, against)


def _keep_averages(run: StudyRun) -> Averages:
    """Return averages over the posts, computed once a run."""
    if "averages" not in run.kept:
        run.kept["averages"] = average_posts(load_posterior(run, "as_bought"))
    averages: Averages = run.kept["averages"]
    return averages


def _find_money(run: StudyRun) -> Mapping[str, Any]:
    """Return the fees by label and the value of a conversion that the run was made with, as far as it was."""
    rows = [row["inputs"].get("options", ()) for row in run.results["decisions"] if row["kind"] == "premium"]
    options = rows[0] if rows else ()
    values = {row["value"] for row in options} - {None}
    return {
        "fees": {row["label"]: row["fee"] for row in options if row["fee"] is not None},
        "value": values.pop() if len(values) == 1 else None,
    }


def _ask_money(plain: Options, found: Mapping[str, Any]) -> tuple[dict[str, float] | None, float | None]:
    left, right = st.columns(2)
    with left:
        use_fees = st.toggle("Take fees into account", value=bool(found["fees"]), key="conversion-fees")
    with right:
        value = st.number_input(
            "Value of a conversion (0: not known)",
            min_value=0.0,
            value=float(found["value"] or 0.0),
            key="conversion-value",
            help="Money that one converting post brings, in the currency of the fees.",
        )
    if not use_fees:
        return None, value or None
    if not found["fees"]:
        st.caption("The table of this run has no fees: these are examples to move to yours.")
    start = {label: float(found["fees"].get(label, EXAMPLE_FEE)) for label in plain.labels}
    return _ask_fees(start), value or None


def _ask_fees(start: Mapping[str, float]) -> dict[str, float]:
    """Return the fees that the sliders stand at; each reaches from 0 to three times its start."""
    fees = {}
    columns = st.columns(min(len(start), 3))
    for number, (label, fee) in enumerate(start.items()):
        top = max(3 * fee, 1.0)
        step = 10.0 ** max(len(f"{top:.0f}") - 3, 0)
        with columns[number % len(columns)]:
            fees[label] = st.slider(
                f"Fee of a post of {escape_words(label)}",
                min_value=0.0,
                max_value=float(round(top / step) * step),
                value=float(round(fee / step) * step),
                step=step,
                format="%.0f",
                key=f"conversion-fee-{label}",
            )
    return fees


def _find_reference(run: StudyRun, options: Options) -> int:
    reference = find_references(run.results).get(options.variable)
    return options.labels.index(reference) if reference in options.labels else 0


def _show_pricing(run: StudyRun, premium: Premium, options: Options, against: str) -> None:
    results = run.results
    decision = describe_premium(
        premium,
        options,
        reference=against,
        prob=results["provenance"]["prob"],
        origin=Origin(
            fees=None if options.fees is None else "given", values=None if options.values is None else "given"
        ),
        withheld_pairs=list_withheld_pairs(results),
        rests_on_prior=_rests_on_prior(run),
    )
    for sentence in decision["sentences"] if premium.unit != "conversions" else ():
        say(sentence)
    pairs = [row for row in decision["rows"] if row["reference"] == against]
    tables = list_decision_tables(decision, results)
    money = options.values is not None
    show_chart(
        draw_premiums(pairs, money=money, colours=choose_colours()),
        frame_table(tables[0]),
        key="conversion-premium",
        alt="Probability that a post is worth its premium, along the premium, with the premium asked marked.",
        note="Diamond: what the fees ask. Where a line is above 50 % the post is more probably worth it than not.",
    )
    if premium.unit != "conversions":
        st.subheader("Each as a buy of its own")
        show_table(frame_table(tables[1]), key="conversion-buys", file_name="conversion-buys.csv")


def _rests_on_prior(run: StudyRun) -> bool:
    return any(
        row["name"] == "separation" and row["consequence"] != "none" and row["question"] == "as_bought"
        for row in run.results["diagnostics"]
    )
