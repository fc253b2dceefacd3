"""The page of the returns study: what influencers return on what they were paid, for the part of the ledger chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from influbayes.dashboard.charts_intervals import Axis, draw_intervals
from influbayes.dashboard.charts_returns import draw_money, draw_persona_map
from influbayes.dashboard.charts_theme import choose_colours, escape_words, say, show_chart
from influbayes.dashboard.downloads import show_table
from influbayes.dashboard.returns_filters import ShownPart, choose_filter, show_part
from influbayes.dashboard.run_index import StudyRun
from influbayes.dashboard.statements import show_headline
from influbayes.dashboard.tables_returns import (
    find_total,
    name_alerts,
    name_engagement,
    name_groups,
    name_influencers,
    split_personas,
    tabulate_alerts,
    tabulate_engagement,
    tabulate_groups,
    tabulate_influencers,
    tabulate_slices,
)
from influbayes.dashboard.verdicts import show_page_head
from influbayes.errors import InflubayesError
from influbayes.reporting.wording import say_mass
from influbayes.returns.engagement import estimate_engagement
from influbayes.returns.parts import cut_posts, list_alerts

MOST_SHOWN = 15
USUAL_FLOOR, USUAL_CHANCE = 1.0, 0.8
GROUPS = {"platform": "Platform", "type": "Influencer type"}
SLICES = ("campaign", "product", "source", "category")


def show_page(run: StudyRun) -> None:
    """Show a run of the returns study."""
    show_page_head("Returns", run)
    if run.status == "withheld":
        _show_checks(run.results)
        return
    try:
        part = show_part(run, choose_filter(run))
    except InflubayesError as reason:
        st.warning(escape_words(f"Nothing to show for these filters. {reason}"))
        return
    _show_top(run, part)
    names = ["Influencers", "Alerts", "Personas", "Money", "Engagement", "Checks", "In words"]
    shown = (
        _show_influencers,
        _show_alerts,
        _show_personas,
        _show_money,
        _show_engagement,
        _show_part_checks,
        _show_words,
    )
    for tab, show in zip(st.tabs(names), shown, strict=True):
        with tab:
            show(part)


def _show_top(run: StudyRun, part: ShownPart) -> None:
    """Show the headline and the key figures; those of a part say which part they are of."""
    if part.words:
        say(f"Only {part.words}.")
    if part.results["status"] == "withheld":
        st.error("Nothing is concluded from this part of the ledger; see Checks for the reasons.")
    else:
        show_headline([row["text"] for row in part.results["statements"] if row["kind"] in ("headline", "incremental")])
    totals = part.results["totals"]
    spots = st.columns(4)
    _show_figure(
        spots[0], "Total revenue", f"{totals['revenue_credited']:,.0f}", "of exposed orders with an influencer"
    )
    _show_figure(spots[1], "Payout", f"{totals['payout']:,.0f}", f"to {totals['influencers']:,} influencers")
    _show_effect(spots[2], "ROAS", find_total(part.results, "roas"), "revenue per unit paid")
    _show_effect(spots[3], "Incremental ROAS", find_total(part.results, "incremental_roas"), "against control users")


def _show_figure(spot: Any, title: str, value: str, note: str) -> None:
    with spot:
        st.metric(title, value)
        st.caption(escape_words(note))


def _show_effect(spot: Any, title: str, effect: Mapping[str, Any] | None, note: str) -> None:
    if effect is None:
        _show_figure(spot, title, "withheld", "see Checks for the reason")
        return
    span = f"{say_mass(effect['prob'])} {effect['lower']:.2f} to {effect['upper']:.2f}"
    _show_figure(spot, title, f"{effect['estimate']:.2f}", f"{span}; {note}")


def _show_influencers(part: ShownPart) -> None:
    asked = part.results["provenance"]
    frame = tabulate_influencers(part.results)
    ranked = frame[frame["estimate"].notna()]
    if ranked.empty or part.results["status"] == "withheld":
        st.info("ROAS of influencers is withheld or not defined for this part; see Checks.")
        return
    show_chart(
        draw_intervals(
            ranked.head(MOST_SHOWN),
            Axis(title="ROAS: revenue per unit paid", null=1.0),
            colours=choose_colours(),
            raw_name="raw ROAS",
        ),
        name_influencers(frame, prob=asked["prob"], best=asked["best"]),
        key="returns-influencers",
        alt=f"ROAS of the best {min(MOST_SHOWN, len(ranked))} influencers with intervals, beside the raw ratio.",
        note=f"The best {min(MOST_SHOWN, len(ranked))} of {len(ranked):,}; all stand in the table. Dot: pooled ROAS, "
        f"line: {say_mass(asked['prob'])}. A raw ratio far from its dot rests on few buyers.",
    )
    for name, title in GROUPS.items():
        _show_groups(part, name, title)


def _show_groups(part: ShownPart, variable: str, title: str) -> None:
    frame = tabulate_groups(part.results, variable)
    if len(frame):
        st.subheader(f"By {title.lower()}")
        show_chart(
            draw_intervals(frame, Axis(title="ROAS: revenue per unit paid", null=1.0), colours=choose_colours()),
            name_groups(frame, title, prob=part.results["provenance"]["prob"]),
            key=f"returns-{variable}",
            alt=f"ROAS by {title.lower()} with intervals.",
        )


def _show_alerts(part: ShownPart) -> None:
    if part.results["status"] == "withheld":
        st.info("Alerts are withheld for this part; see Checks.")
        return
    left, right = st.columns(2)
    with left:
        floor = st.slider(
            "An influencer must bring at least this ROAS",
            min_value=0.5,
            max_value=5.0,
            value=USUAL_FLOOR,
            step=0.1,
            key="returns-floor",
            help="1 brings the payout back. With goods that cost 60 % of revenue the payout is earned at 2.5.",
        )
    with right:
        least = st.slider(
            "Alert where the chance of less is at least",
            min_value=0.5,
            max_value=0.99,
            value=USUAL_CHANCE,
            step=0.01,
            key="returns-least",
        )
    alerts = list_alerts(part.found, floor=floor, least=least)
    if not alerts:
        st.success(escape_words(f"No influencer is below {floor:g} with a probability of {least:.0%} or more."))
        return
    say(f"{len(alerts)} of {len(part.found.people):,} influencers are probably below a ROAS of {floor:g}.")
    frame = tabulate_alerts(alerts)
    show_chart(
        draw_intervals(
            frame.head(MOST_SHOWN),
            Axis(title="ROAS: revenue per unit paid", null=floor),
            colours=choose_colours(),
            raw_name="raw ROAS",
        ),
        name_alerts(frame, floor=floor, prob=part.found.prob),
        key="returns-alerts",
        alt="ROAS of the influencers that probably return too little, with intervals.",
        note="Expected loss in the table: what keeping the influencer is expected to cost against that ROAS.",
    )


def _show_personas(part: ShownPart) -> None:
    frame, prob = tabulate_groups(part.results, "persona"), part.results["provenance"]["prob"]
    if frame.empty:
        st.info("There are no personas: the ledger holds no category or gender of its influencers.")
        return
    table = name_groups(frame, "Persona", prob=prob)
    show_chart(
        draw_intervals(frame, Axis(title="ROAS: revenue per unit paid", null=1.0), colours=choose_colours()),
        table,
        key="returns-personas",
        alt="ROAS of each persona with intervals, the best first.",
        note=f"A persona is the influencer's category and gender. Lines: {say_mass(prob)}.",
    )
    split = split_personas(frame)
    if len(split):
        show_chart(
            draw_persona_map(split, first="Category", second="Gender"),
            table,
            key="returns-persona-map",
            alt="Map of ROAS by category and gender, intervals written in each cell.",
            note="Empty cells: no influencer of that kind.",
        )


def _show_money(part: ShownPart) -> None:
    frame = tabulate_influencers(part.results)
    paid = frame[(frame["payout"] > 0) & (frame["revenue"] > 0)]
    show_chart(
        draw_money(frame, colours=choose_colours()),
        frame[["label", "name", "payout", "revenue", "raw"]].rename(
            columns={"label": "Influencer", "name": "Name", "payout": "Payout", "revenue": "Revenue", "raw": "Raw ROAS"}
        ),
        key="returns-money",
        alt="Revenue against payout of each influencer, with the line where both are equal.",
        note=f"{len(frame) - len(paid)} influencers without payout or revenue have no place on a log scale; they stand "
        "in the table.",
    )
    for variable in SLICES:
        table = tabulate_slices(part.results, variable)
        if len(table):
            st.subheader(f"By {variable}")
            show_table(table, key=f"returns-slice-{variable}", file_name=f"returns-{variable}.csv")


def _show_engagement(part: ShownPart) -> None:
    posts = cut_posts(part.found.part)
    if posts.empty:
        st.info("The ledger holds no post of these influencers.")
        return
    prob = part.results["provenance"]["prob"]
    frame = tabulate_engagement(estimate_engagement(posts, prob=prob))
    show_chart(
        draw_intervals(
            frame, Axis(title="Likes and comments per 100 people reached", form=".2~f"), colours=choose_colours()
        ),
        name_engagement(frame, prob=prob),
        key="returns-engagement",
        alt="Engagement by platform with intervals.",
        note="Filters of products, campaigns and periods choose orders, not posts, so they change nothing here.",
    )


def _show_part_checks(part: ShownPart) -> None:
    _show_checks(part.results)


def _show_checks(results: Mapping[str, Any]) -> None:
    rows = results["diagnostics"]
    passed = sum(row["status"] == "pass" for row in rows)
    say(f"{passed:,} of {len(rows):,} checks passed.")
    frame = pd.DataFrame(
        {
            "Status": [row["status"] for row in rows],
            "Check": [str(row["name"]).replace("_", " ") for row in rows],
            "About": [row["subject"] for row in rows],
            "What it says": [row["meaning"] for row in rows],
        }
    )
    order = frame["Status"].map({"fail": 0, "warn": 1, "pass": 2})
    show_table(frame.loc[order.sort_values(kind="stable").index], key="returns-checks", file_name="returns-checks.csv")


def _show_words(part: ShownPart) -> None:
    st.markdown("\n".join(f"- {escape_words(row['text'])}" for row in part.results["statements"]))
