"""What to buy: budget, fees, limits and risk in; whole posts per tier and region out, and what holds them back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from influbayes.dashboard.charts_theme import choose_colours, escape_label, escape_words, make_figure, say, show_chart
from influbayes.dashboard.downloads import guard_frame, show_table
from influbayes.dashboard.planning import PlanChoices, PlanRequest, list_choices, make_plan
from influbayes.dashboard.run_index import StudyRun
from influbayes.dashboard.verdicts import show_page_head
from influbayes.errors import InflubayesError
from influbayes.reporting.numbers import format_count, format_number
from influbayes.reporting.wording import say_mass

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

POSTS_TO_START = 50


def show_page(run: StudyRun) -> None:
    """Show the plan of a conversion run, or why nothing is planned from it."""
    show_page_head("Plan", run)
    if run.status == "withheld":
        st.error("Nothing is planned from this run, because it did not pass its own checks.")
        return
    try:
        choices = list_choices(run)
    except InflubayesError as reason:
        st.error(escape_words(str(reason)))
        return
    asked = _ask(run, choices)
    answer = st.container()
    request = _ask_fees(run, choices, asked)
    with answer:
        _show_answer(run, request, choices)


def _show_answer(run: StudyRun, request: PlanRequest | None, choices: PlanChoices) -> None:
    if request is None:
        st.info("Give the fee of a post in every row of the table below, and the plan is made.")
        return
    try:
        plan = make_plan(run, request)
    except InflubayesError as reason:
        st.error(f"No plan. {escape_words(str(reason))}", icon=":material/block:")
        return
    _show_plan(plan, choices)


# --- questions --------------------------------------------------------------------------------------------------------


def _ask(run: StudyRun, choices: PlanChoices) -> PlanRequest:
    """Show budget, value, target, risk and caution; return them without fees."""
    known = [fee for fee in choices.fees if fee is not None]
    start = round(POSTS_TO_START * sum(known) / len(known), -3) if known else 10_000.0
    first, second, third = st.columns(3)
    budget = first.number_input(
        "Budget (currency of the fees)", min_value=0.0, value=start, step=1000.0, format="%.0f", key="plan-budget"
    )
    value = second.number_input(
        "Value of one conversion (currency)",
        min_value=0.0,
        value=choices.value,
        help="Empty: the plan is for the most conversions. With a value: for the highest net value.",
        key=f"plan-value-{run.folder.name}",
    )
    target = third.number_input("Conversions to reach", min_value=0.0, value=None, step=10.0, key="plan-target")
    risk = first.slider(
        "Care about the worst tenth",
        0.0,
        1.0,
        0.0,
        0.1,
        help="0: plan for the mean. 1: plan for the mean of the worst tenth of what may be true (CVaR).",
        key="plan-risk",
    )
    least = second.number_input(
        "Trust a cell from this many posts on",
        min_value=0,
        value=0,
        step=10,
        help="Cells with fewer posts in the run get at most this many posts.",
        key="plan-min-posts",
    )
    return PlanRequest(budget=budget, value=value, target=target, risk=risk, min_posts=int(least), fees={})


def _ask_fees(run: StudyRun, choices: PlanChoices, asked: PlanRequest) -> PlanRequest | None:
    """Show fees and limits to edit; return the whole request, or None where a fee is missing."""
    st.subheader("Fees and limits", help="Change any cell. Min, Max and Last stay empty where there are none.")
    edited = _edit_table(run, choices)
    fees = _take(edited, "Fee", choices)
    if len(fees) < len(choices.labels):
        return None
    return replace(
        asked,
        fees=fees,
        least={label: int(number) for label, number in _take(edited, "Min", choices).items()},
        most={label: int(number) for label, number in _take(edited, "Max", choices).items()},
        last={label: int(number) for label, number in _take(edited, "Last", choices).items()},
    )


def _edit_table(run: StudyRun, choices: PlanChoices) -> pd.DataFrame:
    import pandas as pd

    count = len(choices.labels)
    frame = pd.DataFrame(
        {
            "Buy": list(choices.labels),
            "Posts seen": list(choices.posts),
            "Fee": pd.Series([None if fee is None else round(fee) for fee in choices.fees], dtype="Float64"),
            **{name: pd.Series([None] * count, dtype="Int64") for name in ("Min", "Max", "Last")},
        }
    )
    amounts: dict[str, Any] = {
        "Fee": st.column_config.NumberColumn("Fee", min_value=0.0, required=True, help="of one post"),
        "Min": st.column_config.NumberColumn("Min", min_value=0, step=1, help="posts at least"),
        "Max": st.column_config.NumberColumn("Max", min_value=0, step=1, help="posts at most, or in stock"),
        "Last": st.column_config.NumberColumn("Last", min_value=0, step=1, help="posts of the last plan"),
    }
    edited: pd.DataFrame = st.data_editor(
        guard_frame(frame),
        hide_index=True,
        disabled=["Buy", "Posts seen"],
        column_config=amounts,
        num_rows="fixed",
        width="stretch",
        key=f"plan-table-{run.folder.name}",
    )
    return edited


def _take(edited: pd.DataFrame, column: str, choices: PlanChoices) -> dict[str, float]:
    """Return label -> number of a column, rows by place, since shown labels are guarded."""
    import pandas as pd

    cells = zip(choices.labels, edited[column].tolist(), strict=True)
    return {label: float(cell) for label, cell in cells if not pd.isna(cell)}


# --- the plan ---------------------------------------------------------------------------------------------------------


def _show_plan(plan: Mapping[str, Any], choices: PlanChoices) -> None:
    numbers, bought = plan["inputs"], [row for row in plan["rows"] if row["posts"] > 0]
    money = numbers["unit"] == "currency"
    columns = st.columns(3)
    columns[0].metric("Posts to buy", format_count(sum(row["posts"] for row in bought)))
    spent = f"{format_count(numbers['spent'])} of {format_count(numbers['budget'])}"
    columns[1].metric("Spent (currency)", spent)
    interval = f"{format_number(numbers['lower'])} to {format_number(numbers['upper'])}"
    columns[2].metric(
        "Expected net value (currency)" if money else "Expected conversions", format_number(numbers["mean"])
    )
    columns[2].caption(escape_words(f"{say_mass(numbers['prob'])} {interval}"))
    for sentence in plan["sentences"]:
        say(sentence)
    for row in bought:
        for mark in row["marks"]:
            st.warning(escape_words(f"{row['label']}: {mark}"), icon=":material/warning:")
    if choices.withheld:
        hidden = ", ".join(sorted(label for label in choices.labels if label in choices.withheld))
        st.warning(escape_words(f"Not bought, because their estimate is withheld: {hidden or 'none'}."))
    show_chart(
        draw_plan(plan),
        tabulate_plan(plan),
        key="plan",
        alt="Posts to buy of each tier and region",
        note="Bars: posts to buy. Grey diamonds: posts of it in the run, on which its rate rests.",
    )
    _show_bindings(numbers["bindings"], "currency" if money else "conversions")


def draw_plan(plan: Mapping[str, Any]) -> go.Figure:
    """Return bars of posts to buy beside the posts that were seen."""
    import plotly.graph_objects as go

    rows = list(reversed(plan["rows"]))
    colours, labels = choose_colours(), [escape_label(row["label"]) for row in rows]
    figure = make_figure(x="Posts", rows=len(rows))
    words = [f"{row['posts']:,} posts, {row['cost']:,.0f} in all" for row in rows]
    figure.add_trace(
        go.Bar(
            y=labels,
            x=[row["posts"] for row in rows],
            orientation="h",
            name="to buy",
            marker_color=colours.main,
            customdata=words,
            hovertemplate="%{y}: %{customdata}<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            y=labels,
            x=[row["observed_posts"] for row in rows],
            mode="markers",
            name="in the run",
            marker={"symbol": "diamond", "color": colours.neutral, "size": 9},
            hovertemplate="%{y}: %{x:,} posts in the run<extra></extra>",
        )
    )
    return figure


def tabulate_plan(plan: Mapping[str, Any]) -> pd.DataFrame:
    """Return the plan as a table with readable headers, the options with posts first."""
    import pandas as pd

    rows = sorted(plan["rows"], key=lambda row: -row["posts"])
    unit = "Expected net value" if plan["inputs"]["unit"] == "currency" else "Expected conversions in the plan"
    table = {
        "Buy": [row["label"] for row in rows],
        "Posts": [row["posts"] for row in rows],
        "Fee of a post": [row["fee"] for row in rows],
        "Cost": [row["cost"] for row in rows],
        "Expected conversions": [round(row["conversions"], 1) for row in rows],
        unit: [round(row["worth"], 1) for row in rows],
        "Posts in the run": [row["observed_posts"] for row in rows],
        "Held at the cap": ["yes" if row["capped"] else "" for row in rows],
    }
    if unit.endswith("plan"):
        del table[unit]
    return pd.DataFrame(table)


def _show_bindings(bindings: list[Mapping[str, Any]], unit: str) -> None:
    import pandas as pd

    st.subheader("What holds the plan back")
    if not bindings:
        say("No limit: loosening any of them would change nothing.")
        return
    frame = pd.DataFrame(
        {
            "Limit": [row["limit"] for row in bindings],
            "Of": [row["label"] or "all" for row in bindings],
            "Loosened by": [row["step"] for row in bindings],
            f"Gain ({unit})": [round(row["gain"], 2) for row in bindings],
        }
    )
    show_table(frame, key="bindings", file_name="what_binds.csv")
