"""The page of the attribution study: who is credited by which rule, journeys, models on new users, quality of data."""

from __future__ import annotations

import streamlit as st

from influbayes.dashboard.charts_attribution import draw_counts, draw_curves, draw_roles
from influbayes.dashboard.charts_intervals import Axis, draw_intervals
from influbayes.dashboard.charts_theme import choose_colours, escape_words, say, show_chart
from influbayes.dashboard.downloads import show_table
from influbayes.dashboard.run_index import StudyRun
from influbayes.dashboard.statements import frame_table, show_headline
from influbayes.dashboard.tables_attribution import (
    list_rules,
    name_credits,
    name_odds,
    tabulate_calendar,
    tabulate_credits,
    tabulate_curve,
    tabulate_odds,
    tabulate_roles,
)
from influbayes.dashboard.verdicts import show_page_head
from influbayes.reporting.credit_tables import list_other_tables, list_tables
from influbayes.reporting.wording import say_mass

FIRST_RULES = ("last", "first", "linear", "markov")
CURVES = {
    "roc": ("Ranking (ROC)", "False positive rate", "True positive rate"),
    "pr": ("Precision and recall", "Recall", "Precision"),
    "calibration": ("Calibration", "Predicted chance", "Share that signed up"),
}


def show_page(run: StudyRun) -> None:
    """Show a run of the attribution study."""
    show_page_head("Attribution", run)
    said = run.results["statements"]
    show_headline([row["text"] for row in said if row["kind"] in ("headline", "conflict", "caveat")])
    if run.status == "withheld":
        return
    names = ["Credits", "Journeys", "Sign-up model", "Models compared", "Data quality", "In words"]
    shown = (_show_credits, _show_journeys, _show_signup, _show_models, _show_quality, _show_words)
    for tab, show in zip(st.tabs(names), shown, strict=True):
        with tab:
            show(run)


def _show_credits(run: StudyRun) -> None:
    results, words = run.results, list_rules(run.results)
    usual = [rule for rule in FIRST_RULES if rule in words] or list(words)[:4]
    chosen = st.multiselect("Rules", list(words), default=usual, format_func=words.__getitem__, key="credit-rules")
    title = str(results["options"]["by"]).removeprefix("utm_").removesuffix("_id").capitalize()
    prob = results["provenance"]["prob"]
    if not chosen:
        st.info("Choose a rule to see what it credits.")
    else:
        frame = tabulate_credits(results, chosen)
        show_chart(
            draw_intervals(frame, Axis(title="Sign-ups credited", form=",.3~g"), colours=choose_colours()),
            name_credits(frame, title=title, prob=prob),
            key="attribution-credits",
            alt="Sign-ups credited to each channel by each chosen rule, with bootstrap intervals over users.",
            note=f"Lines: {prob:.0%} bootstrap intervals over users. Every rule shares out the same "
            f"{results['data']['sign_ups']:,} sign-ups.",
        )
    _show_tables(run, ("questions", "truth", "disagreements", "ranks", "time"))
    for number, table in enumerate(list_other_tables(results)):
        st.subheader(table.caption)
        show_table(frame_table(table), key=f"credit-other-{number}", file_name=f"attribution-other-{number + 1}.csv")


def _show_journeys(run: StudyRun) -> None:
    found = run.results["journeys"]
    spots = st.columns(4)
    figures = (
        ("Journeys", f"{found['journeys']:,}"),
        ("Touches before a sign-up", f"{found['mean_touches']:.1f}"),
        ("Median days", f"{found['median_days']:.1f}"),
        ("With one touch", f"{found['share_one_touch']:.0%}"),
    )
    for spot, (title, value) in zip(spots, figures, strict=True):
        spot.metric(title, value)
    frame = tabulate_roles(run.results)
    show_chart(
        draw_roles(frame, colours=choose_colours()),
        frame.rename(columns={"label": "Channel", "opens": "Opens", "assists": "Assists", "closes": "Closes"}),
        key="attribution-roles",
        alt="Converting journeys that each channel opens, assists and closes.",
        note="A journey is counted once in each role a channel has in it.",
    )
    for part, title in (("month", "Sign-ups by month"), ("weekday", "Sign-ups by weekday")):
        counts = tabulate_calendar(run.results, part)
        if len(counts) > 1:
            st.subheader(title)
            show_chart(
                draw_counts(counts, "Sign-ups", colours=choose_colours()),
                counts.rename(columns={"label": part.capitalize(), "count": "Sign-ups", "sessions": "Sessions"}),
                key=f"attribution-{part}",
                alt=f"{title}.",
            )


def _show_signup(run: StudyRun) -> None:
    model = run.results["signup"]
    if model is None:
        st.info("No sign-up model was fitted for this run.")
        return
    if model["status"] == "withheld":
        st.warning("The numbers of the sign-up model are withheld.")
        st.markdown("\n".join(f"- {escape_words(reason)}" for reason in model["reasons"]))
    else:
        _show_odds(run)
        _show_tables(run, ("spreads",))
    _show_tables(run, ("diagnostics",))


def _show_odds(run: StudyRun) -> None:
    prob = run.results["provenance"]["prob"]
    for variable in dict.fromkeys(row["variable"] for row in run.results["signup"]["levels"]):
        title = variable.removeprefix("utm_").removesuffix("_id").replace("_", " ").capitalize()
        frame = tabulate_odds(run.results, variable)
        st.subheader(title)
        show_chart(
            draw_intervals(
                frame,
                Axis(title="Odds ratio against an average one (log scale)", null=1.0, log=True),
                colours=choose_colours(),
            ),
            name_odds(frame, title=title, prob=prob),
            key=f"attribution-odds-{variable}",
            alt=f"Odds ratio of a sign-up for each level of {title} against an average one, with intervals.",
            note=f"Lines: {say_mass(prob)}.",
        )


def _show_models(run: StudyRun) -> None:
    trial = run.results["baseline"]
    if trial is None or not trial["scores"]:
        st.info(escape_words((trial or {}).get("reason") or "Models were not compared in this run."))
        return
    for row in run.results["statements"]:
        if row["kind"] in ("baseline", "imbalance"):
            say(row["text"])
    _show_tables(run, ("scores",))
    for kind, (title, x, y) in CURVES.items():
        st.subheader(title)
        show_chart(
            draw_curves(trial["curves"], kind, colours=choose_colours(), base_rate=trial["base_rate"]),
            tabulate_curve(trial["curves"], kind, x, y),
            key=f"attribution-{kind}",
            alt=f"{title} of each model on users it has not seen.",
        )
    _show_tables(run, ("importances", "left_out"))


def _show_quality(run: StudyRun) -> None:
    data = run.results["data"]
    say(
        f"{data['file']}: {data['rows_read']:,} rows read, {data['rows_used']:,} used; {data['users']:,} users, "
        f"{data['sign_ups']:,} sign-ups."
    )
    _show_tables(run, ("missing", "minutes", "rates", "intents"))
    notes = [row["text"] for row in (*data["warnings"], *data["notices"])]
    if notes:
        st.subheader("What the reader noticed")
        st.markdown("\n".join(f"- {escape_words(text)}" for text in notes))


def _show_words(run: StudyRun) -> None:
    st.markdown("\n".join(f"- {escape_words(row['text'])}" for row in run.results["statements"]))


def _show_tables(run: StudyRun, names: tuple[str, ...]) -> None:
    """Show tables of the report, those that the run has."""
    tables = list_tables(run.results)
    for name in names:
        table = tables[name]
        if table is not None and table.rows:
            st.subheader(table.caption)
            show_table(frame_table(table), key=f"credit-{name}", file_name=f"attribution-{name}.csv")
            if table.note:
                st.caption(escape_words(table.note))
