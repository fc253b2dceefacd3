"""Makes the sentences of an attribution study of its results, and of nothing else.

Takes plain results; a pure function, so that results.json alone gives the same text again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from influbayes.reporting.credit_model_sentences import (
    say_baseline,
    say_imbalance,
    say_minutes,
    say_record,
    say_signup,
    state,
)
from influbayes.reporting.numbers import format_share
from influbayes.reporting.wording import MINUS, join_words, say_probability

Results = Mapping[str, Any]
Row = Mapping[str, Any]

NOT_CAUSE = (
    "Credit is not causation: a rule says which channels stood on the way to a sign-up, not which sign-ups would be "
    "missing without them. Only an experiment, a control group or a holdout region, can say that."
)
FEW_SIGN_UPS = 30
STABLE = 0.95
NEAR_CHANCE = 0.5


def make_statements(results: Results) -> list[dict[str, Any]]:
    """Return the statements in reading order: ``id, kind, text, status`` (stated, weakened, withheld)."""
    makers = (
        _say_headline,
        _say_conservation,
        _say_conflicts,
        _say_cause,
        _say_disagreement,
        _say_spreads,
        _say_ranks,
        _say_journeys,
        _say_direct,
        _say_time_test,
        say_record,
        say_signup,
        say_baseline,
        say_imbalance,
        say_minutes,
        _say_quality,
        _say_skipped,
    )
    found = [statement for maker in makers for statement in maker(results)]
    return [{**row, "id": f"{row['kind']}/{number}"} for number, row in enumerate(found)]


def _leader(results: Results, rule: str) -> Row:
    return next(row for row in results["credits"] if row["rule"] == rule and row["rank"] == 1)


def _words(results: Results, rule: str) -> str:
    return str(next(row["words"] for row in results["rules"] if row["rule"] == rule))


def say_credit(value: float) -> str:
    """Return a number of sign-ups: whole from 10 on, one decimal below."""
    text = f"{value:,.0f}" if abs(value) >= 9.95 or value == round(value) else f"{value:.1f}"
    return "0" if text in ("-0", "-0.0", "0.0") else text.replace("-", MINUS)


def say_interval(row: Row) -> str:
    """Return "12 (8 to 17)", or the estimate alone where there is no interval."""
    if row["lower"] is None or row["upper"] is None:
        return say_credit(row["credit"])
    return f"{say_credit(row['credit'])} ({say_credit(row['lower'])} to {say_credit(row['upper'])})"


def _say_headline(results: Results) -> Iterator[dict[str, Any]]:
    rules = [row["rule"] for row in results["rules"]]
    leaders: dict[str, list[str]] = {}
    for rule in rules:
        leaders.setdefault(_leader(results, rule)["channel"], []).append(_words(results, rule))
    total = results["journeys"]["converted"]
    few = results["data"]["sign_ups"] < FEW_SIGN_UPS
    if len(leaders) == 1:
        name = next(iter(leaders))
        rows = [row for row in results["credits"] if row["channel"] == name]
        low, high = min(row["credit"] for row in rows), max(row["credit"] for row in rows)
        text = (
            f"{name} gets most credit by every rule: {say_credit(low)} to {say_credit(high)} of "
            f"{say_credit(total)} sign-ups, depending on the rule."
        )
    else:
        ordered = sorted(leaders.items(), key=lambda item: -len(item[1]))
        parts = [f"{name} by {join_words(words)}" for name, words in ordered]
        text = f"The rules disagree on which channel comes first: {'; '.join(parts)}."
    yield state("headline", text, "weakened" if few else "stated")
    if few:
        yield state(
            "few", f"Only {results['data']['sign_ups']} sign-ups: every ranking here may be chance.", "weakened"
        )


def _say_conservation(results: Results) -> Iterator[dict[str, Any]]:
    uncredited = results["journeys"]["uncredited"]
    credited, all_of_them = results["journeys"]["converted"], results["data"]["sign_ups"]
    text = f"Every rule shares out the same {say_credit(credited)} of {say_credit(all_of_them)} sign-ups"
    if uncredited:
        text += f"; not shared out: {join_words([f'{count} ({why})' for why, count in uncredited.items()])}"
    yield state("conservation", f"{text}.")
    lost = results["data"]["lost_sign_ups"]
    if lost:
        yield state("lost", f"{lost} more sign-ups have no user and are in no journey.", "weakened")


def _say_conflicts(results: Results) -> Iterator[dict[str, Any]]:
    rows = results["truth"]["rows"]
    source = results["truth"]["source"]
    if not rows:
        return
    caused = {row["channel"]: row["caused"] for row in rows}
    cause = max(caused, key=lambda name: caused[name])
    for rule in ("last", "first"):
        found = [row for row in rows if row["rule"] == rule and row["conflict"]]
        low = next((row for row in found if row["channel"] == cause), None)
        over = [row for row in found if row["credit"] > row["caused"]]
        if low is not None:
            text = (
                f"Conflict: {_words(results, rule)} gives {cause} {say_interval(low)} sign-ups; by {source} it caused "
                f"{say_credit(caused[cause])}."
            )
            if over:
                most = over[0]
                text += f" It gives {most['channel']} {say_interval(most)}, which caused {say_credit(most['caused'])}."
            yield state("conflict", text)


def _say_cause(results: Results) -> Iterator[dict[str, Any]]:
    yield state("caveat", NOT_CAUSE)


def _say_disagreement(results: Results) -> Iterator[dict[str, Any]]:
    rows = results["disagreements"]
    if not rows:
        return
    most = rows[0]
    between = "" if most["lower"] is None else f" ({say_credit(most['lower'])} to {say_credit(most['upper'])})"
    yield state(
        "disagreement",
        f"The two rules furthest apart are {_words(results, most['rule'])} and {_words(results, most['other'])}: they "
        f"give {say_credit(most['moved'])}{between} of {say_credit(results['journeys']['converted'])} sign-ups to "
        "different channels.",
    )


def _say_spreads(results: Results) -> Iterator[dict[str, Any]]:
    for row in results["spreads"][:3]:
        yield state(
            "spread",
            f"{row['channel']} gets between {say_credit(row['lowest'])} ({_words(results, row['lowest_rule'])}) and "
            f"{say_credit(row['highest'])} sign-ups ({_words(results, row['highest_rule'])}).",
        )


def _say_ranks(results: Results) -> Iterator[dict[str, Any]]:
    firm: list[str] = []
    loose: list[str] = []
    for rule in (row["rule"] for row in results["rules"]):
        row = _leader(results, rule)
        if row["probability_top"] is not None:
            said = f"{_words(results, rule)} ({row['channel']}, {say_probability(row['probability_top'])})"
            (firm if row["probability_top"] >= STABLE else loose).append(said)
    if firm:
        yield state("rank", f"First place is firm, with its chance over users, by {join_words(firm)}.")
    if loose:
        yield state("rank", f"First place may change with other users by {join_words(loose)}.", "weakened")


def _say_journeys(results: Results) -> Iterator[dict[str, Any]]:
    row = results["journeys"]
    text = (
        f"A journey to a sign-up has {row['mean_touches']:.1f} touches on average; "
        f"{format_share(row['share_one_touch'])} have one, where all rules agree."
    )
    if row["median_days"] is not None:
        text += f" Half of them take {row['median_days']:.0f} days or more."
    yield state("journeys", f"{text} Touches more than {row['lookback_days']:g} days before do not count.")


def _say_direct(results: Results) -> Iterator[dict[str, Any]]:
    if "last_non_direct" not in [row["rule"] for row in results["rules"]]:
        return
    names = results["options"]["direct"]
    if names:
        yield state("direct", f"As direct count: {join_words(names)}. Choose others with --direct.")
    else:
        yield state("direct", "No channel is called direct, so last non-direct equals last touch. Use --direct.")


def _say_time_test(results: Results) -> Iterator[dict[str, Any]]:
    test = results["time_test"]
    if not test["rows"]:
        yield state("time_test", f"Test over time. {test['reason']}", "weakened")
        return
    above = [row for row in test["rows"] if row["auc_lower"] is not None and row["auc_lower"] > NEAR_CHANCE]
    scale = f"Credit of the first {test['train_weeks']} weeks against the sign-ups of the last {test['test_weeks']}"
    if not above:
        text = f"{scale}: by no rule does it tell later sign-ups from other journeys (AUC no better than 0.5)."
        yield state("time_test", text, "weakened")
        return
    best = max(above, key=lambda row: row["auc"])
    yield state(
        "time_test",
        f"{scale}: {_words(results, best['rule'])} tells them best, AUC {best['auc']:.2f} ({best['auc_lower']:.2f} to "
        f"{best['auc_upper']:.2f}); {len(above)} of {len(test['rows'])} rules do better than chance. Longer journeys "
        "help every rule here.",
    )
    steady = min(test["rows"], key=lambda row: row["moved"])
    yield state(
        "steady",
        f"The rule that says most nearly the same in both parts is {_words(results, steady['rule'])}: "
        f"{format_share(steady['moved'])} of its credit moves.",
    )


def _say_quality(results: Results) -> Iterator[dict[str, Any]]:
    quality = results["data"]["quality"]
    aside = [row for row in quality["missing"] if row["set_aside"]]
    for row in aside:
        yield state(
            "quality",
            f"{row['column']} is missing in {row['missing']:,} of {results['data']['sessions']:,} sessions: set aside.",
        )
    kept = [row for row in quality["missing"] if row["missing"] and not row["set_aside"]]
    if kept:
        named = join_words([f"{row['column']} ({row['missing']:,})" for row in kept])
        yield state("quality", f"Missing values kept as a level of their own: {named}.")
    referrer = quality["referrer"]
    if referrer is not None and referrer["agreement"] is not None:
        yield state(
            "quality",
            f"Where both name a known site, referrer and utm_source agree in {format_share(referrer['agreement'])} of "
            f"{referrer['agree'] + referrer['disagree']:,} sessions.",
        )


def _say_skipped(results: Results) -> Iterator[dict[str, Any]]:
    for text in results["skipped"]:
        yield state("skipped", text, "weakened")
