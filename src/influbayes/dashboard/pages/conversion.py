"""The page of the conversion study: verdict and headline first, then comparisons, map, premium, creators and checks."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from influbayes.dashboard.charts_conversion import draw_calibration, draw_cells
from influbayes.dashboard.charts_intervals import Axis, draw_intervals
from influbayes.dashboard.charts_theme import choose_colours, say, show_chart
from influbayes.dashboard.conversion_choices import TITLES, choose_question, show_equality, show_premium
from influbayes.dashboard.downloads import show_table
from influbayes.dashboard.run_index import StudyRun
from influbayes.dashboard.statements import frame_table, show_headline, show_statements
from influbayes.dashboard.tables_conversion import (
    list_withheld,
    name_contrasts,
    name_rates,
    tabulate_calibration,
    tabulate_cells,
    tabulate_contrasts,
    tabulate_creators,
    take_ends,
)
from influbayes.dashboard.verdicts import show_page_head
from influbayes.reporting import html_tables
from influbayes.reporting.html import group_statements
from influbayes.reporting.wording import name_column, say_mass

DEFINITIONS = {
    "as_bought": "As bought: what a level brings in all, engagement included. The question for buying.",
    "engagement_constant": "Engagement constant: posts with the same engagement compared. A level that works by "
    "bringing engagement loses that merit here.",
}


def show_page(run: StudyRun) -> None:
    """Show a run of the conversion study."""
    show_page_head("Conversion", run)
    headlines = [run.results["headline"].get(question) for question in TITLES]
    show_headline([part["text"] for part in headlines if part is not None])
    if run.status == "withheld":
        _show_checks(run)
        return
    names = ["Comparisons", "Map", "Premium", "Creators", "Checks", "In words"]
    shown = (_show_comparisons, _show_map, show_premium, _show_creators, _show_checks, _show_words)
    for tab, show in zip(st.tabs(names), shown, strict=True):
        with tab:
            show(run)


def _show_comparisons(run: StudyRun) -> None:
    results, colours = run.results, choose_colours()
    every = st.toggle("All pairs, not only those against the reference", key="conversion-pairs")
    st.subheader("Differences per 100 posts, as bought")
    frame = tabulate_contrasts(results, "difference", every_pair=every)
    bought = frame[frame["group"] == html_tables.QUESTION_WORDS["as_bought"]]
    prob = results["provenance"]["prob"]
    axis = Axis(title="More conversions per 100 posts", null=0.0, form="+.3~g")
    show_chart(
        draw_intervals(bought.drop(columns="group"), axis, colours=colours),
        name_contrasts(bought, "difference", prob),
        key="conversion-differences",
        alt="Difference in expected conversions per 100 posts of each comparison as bought, with its interval.",
        note=f"Dot: posterior median; line: {say_mass(prob)}. Right of the dotted line the first level is better.",
    )
    _say_withheld(bought)
    st.subheader("Odds ratios, both questions side by side")
    ratios = tabulate_contrasts(results, "odds_ratio", every_pair=every)
    show_chart(
        draw_intervals(ratios, Axis(title="Odds ratio (log scale)", null=1.0, log=True), colours=colours),
        name_contrasts(ratios, "odds_ratio", prob),
        key="conversion-ratios",
        alt="Odds ratio of each comparison as bought and with engagement constant, with intervals.",
        note=" ".join(DEFINITIONS[question] for question in html_tables.list_questions(results)),
    )
    _say_withheld(ratios)
    show_equality(run, ratios)


def _say_withheld(frame: pd.DataFrame) -> None:
    for sentence in list_withheld(frame):
        say(sentence)


def _show_map(run: StudyRun) -> None:
    results, columns = run.results, html_tables.list_columns(run.results, levels="all")
    question = choose_question(run, "conversion-map-question")
    frame = tabulate_cells(results, question)
    if frame.empty:
        st.info("The model has fewer than two label columns, so there is no map.")
        return
    names = [name_column(column).strip('"').capitalize() for column in columns[:2]]
    prob = results["provenance"]["prob"]
    table = name_rates(frame, prob, first=names[0], second=names[1])
    show_chart(
        draw_cells(frame, first=names[0], second=names[1]),
        table,
        key="conversion-map",
        alt=f"Map of expected conversions per 100 posts by {names[0]} and {names[1]}, intervals written in each cell.",
        note=f"Expected conversions per 100 posts were every post of that kind, and the {say_mass(prob)}. "
        + DEFINITIONS[question],
    )
    st.subheader("The same cells, one below the other")
    ordered = frame.sort_values("estimate", ascending=False)
    axis = Axis(title="Conversions per 100 posts", form=".3~g")
    show_chart(
        draw_intervals(ordered, axis, colours=choose_colours(), raw_name="raw rate"),
        table,
        key="conversion-cells",
        alt="Expected conversions per 100 posts of each cell with its interval, beside the raw rate.",
        note="The model draws raw rates of few posts towards the others.",
    )


def _show_creators(run: StudyRun) -> None:
    question = choose_question(run, "conversion-creators-question")
    frame, prob = tabulate_creators(run.results, question), run.results["provenance"]["prob"]
    if frame.empty:
        st.info("The model of this run has no creators: posts are taken as independent of each other.")
        return
    ends = take_ends(frame)
    st.subheader("Top and bottom ten" if len(ends) < len(frame) else "All creators")
    axis = Axis(title="Conversions per 100 posts of their own", form=".3~g")
    show_chart(
        draw_intervals(ends, axis, colours=choose_colours(), raw_name="raw rate"),
        name_rates(frame, prob, label="Creator"),
        key="conversion-creators",
        alt="Expected conversions per 100 posts of the best and worst creators with intervals, beside raw rates.",
        note=f"All {len(frame):,} creators stand in the table. Raw rates of few posts mislead: a cross far from its "
        f"dot is mostly luck. Lines: {say_mass(prob)}.",
    )


def _show_checks(run: StudyRun) -> None:
    results = run.results
    notable, every = html_tables.tables_diagnostics(results)
    passed = sum(row["status"] == "pass" for row in results["diagnostics"])
    say(f"{passed:,} of {len(results['diagnostics']):,} checks passed.")
    tables: list[tuple[str, Any]] = [
        ("Checks that did not pass", notable),
        ("Does the model give back what was seen?", html_tables.table_checks(results)),
        ("Every row accounted for", html_tables.table_rejected(results)),
        ("All checks", every),
    ]
    if run.status != "withheld":
        _show_calibration(run)
    for heading, table in tables:
        if table is not None:
            st.subheader(heading)
            show_table(frame_table(table), key=f"conversion-{table.id}", file_name=f"conversion-{table.id}.csv")


def _show_calibration(run: StudyRun) -> None:
    for question in html_tables.list_questions(run.results):
        frame = tabulate_calibration(run.results, question)
        if not frame.empty:
            st.subheader(f"Calibration, {html_tables.QUESTION_WORDS[question]}")
            show_chart(
                draw_calibration(frame, colours=choose_colours()),
                frame,
                key=f"conversion-calibration-{question}",
                alt="Share of posts that converted against the predicted chance, with the band of a right model.",
                note="The line stays in the band where the chances that the model gives are right.",
            )


def _show_words(run: StudyRun) -> None:
    show_statements(group_statements(run.results))
