"""The returns report as one HTML page that loads nothing and runs nothing, and the tables on it.

Takes results as plain data and pictures as PNG bytes; every label is escaped by the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from influbayes.reporting.html import CSP, STATUS_WORDS, embed_picture, load_template, read_part
from influbayes.reporting.html_tables import Table
from influbayes.reporting.numbers import NOTHING, format_count, format_number, format_share
from influbayes.reporting.returns_sentences import find_effect, say_money, say_roas
from influbayes.reporting.wording import say_mass, say_probability

Row = Mapping[str, Any]
MOST_INFLUENCERS = 15
VARIABLES = {
    "persona": "Personas (category × gender)",
    "platform": "Platforms",
    "type": "Influencer types",
    "campaign": "Campaigns",
    "product": "Products",
    "source": "Order sources",
}
GROUPS = (
    ("no_difference", "Do influencers differ?"),
    ("leader", "Who is probably among the best"),
    ("losing", "Who is probably losing money"),
    ("persona", "Personas"),
    ("caveat", "Keep in mind"),
)
PICTURES = {
    "influencers": "Raw ROAS (dot) and partially pooled ROAS with its interval (line) of influencers",
    "incremental": "Incremental ROAS with its interval, in total and by group",
    "personas": "ROAS of each category and gender, with its interval",
    "bars": "ROAS of personas from best to worst, with its interval",
    "spend": "Revenue of exposed users against payout, each influencer a dot",
    "weeks": "Exposed revenue by week, and how much of all payouts had come back",
    "engagement": "Likes and comments over reach, by platform",
    "orders": "Orders paid for against orders tracked, each influencer a dot",
}
SHOWN_FRONT = 8


def render_returns(results: Row, images: Mapping[str, bytes]) -> str:
    """Return the report of a returns study as one self-contained HTML page."""
    every = table_influencers(results)
    short = table_influencers(results, most=MOST_INFLUENCERS)
    return load_template("returns.html.j2").render(
        results=results,
        csp=CSP,
        css=read_part("report.css"),
        metrics=list_metrics(results),
        groups=_group_statements(results),
        headline=[row for row in results["statements"] if row["kind"] in ("headline", "incremental")],
        pictures={name: [embed_picture(name, data, alt=PICTURES.get(name, name))] for name, data in images.items()},
        short=short,
        every=every if len(every.rows) > MOST_INFLUENCERS else None,
        losing=table_losing(results),
        slices=[table_slices(results, variable) for variable in VARIABLES],
        engagement=table_engagement(results),
        checks=table_checks(results),
        status_word=STATUS_WORDS[results["status"]],
        mass=say_mass(results["provenance"]["prob"]),
    )


def list_metrics(results: Row) -> list[tuple[str, str]]:
    """Return the key metrics as (name, number)."""
    totals = results["totals"]
    return [
        ("Revenue, all rows", f"{totals['revenue_all']:,.2f}"),
        ("Revenue, exposed rows", f"{totals['revenue_exposed']:,.2f}"),
        ("Payout", f"{totals['payout']:,.2f}"),
        ("ROAS (exposed)", say_roas(totals["roas"])),
        ("Orders tracked / paid", f"{totals['orders']:,} / {totals['orders_paid']:,}"),
        ("Influencers", format_count(totals["influencers"])),
        ("Exposed users", format_count(totals["exposed_users"])),
        ("Control users", format_count(totals["control_users"])),
    ]


def _group_statements(results: Row) -> list[dict[str, Any]]:
    found = []
    for kind, heading in GROUPS:
        rows = [row for row in results["statements"] if row["kind"] == kind]
        if rows:
            found.append({"heading": heading, "front": rows[:SHOWN_FRONT], "rest": rows[SHOWN_FRONT:]})
    return found


def _say_interval(effect: Row | None) -> tuple[str, str]:
    if effect is None:
        return NOTHING, NOTHING
    return say_roas(effect["estimate"]), f"{say_roas(effect['lower'])} to {say_roas(effect['upper'])}"


def _say_chance(effect: Row | None) -> str:
    return NOTHING if effect is None or effect["probability"] is None else say_probability(effect["probability"])


def table_influencers(results: Row, *, most: int | None = None) -> Table:
    """Return influencers by pooled ROAS, best first; those without a payout last, with a dash."""
    people = {row["id"]: row for row in results["influencers"]}
    effects = {name: find_effect(results, "roas", "influencer", name) for name in people}

    def place(name: str) -> tuple[float, str]:
        effect = effects[name]
        return (-effect["estimate"] if effect else float("inf"), name)

    names = sorted(people, key=place)
    rows = tuple(_describe_influencer(results, people[name], effects[name]) for name in names[:most])
    best = results["provenance"]["best"]
    return Table(
        id="table-influencers" if most else "table-influencers-all",
        caption=f"{'Top influencers' if most else 'All influencers'} ({say_mass(results['provenance']['prob'])})",
        head=(
            "influencer", "persona", "platform", "revenue", "payout", "buyers", "raw ROAS", "pooled ROAS", "interval",
            "P(ROAS > 1)", f"P(best {best})",
        ),
        rows=rows,
        left=3,
        note="Pooled: drawn towards the other influencers as far as few buyers leave it open. Order: pooled ROAS.",
    )  # fmt: skip


def _describe_influencer(results: Row, person: Row, effect: Row | None) -> tuple[str, ...]:
    best = find_effect(results, "probability_best", "influencer", person["id"])
    return (
        person["id"],
        f"{person['category']} × {person['gender']}",
        person["platform"],
        say_money(person["revenue"]),
        say_money(person["payout"]),
        format_count(person["buyers"]),
        say_roas(person["roas"]),
        *_say_interval(effect),
        _say_chance(effect),
        _say_chance(best),
    )


def table_losing(results: Row) -> Table | None:
    """Return who is probably losing money with the expected losses; None if nobody is."""
    rows = []
    for said in results["statements"]:
        if said["kind"] != "losing":
            continue
        name = said["level"]
        effect = find_effect(results, "roas", "influencer", name)
        losses = [find_effect(results, f"expected_loss_{what}", "influencer", name) for what in ("keeping", "dropping")]
        raw = next(row["roas"] for row in results["influencers"] if row["id"] == name)
        rows.append(
            (
                name,
                say_roas(raw),
                *_say_interval(effect),
                say_probability(said["probability"]),
                *(say_money(loss["estimate"]) if loss else NOTHING for loss in losses),
            )
        )
    if not rows:
        return None
    return Table(
        id="table-losing",
        caption="Below 1x, and how likely they truly are",
        head=("influencer", "raw ROAS", "pooled ROAS", "interval", "P(ROAS < 1)", "loss if kept", "loss if dropped"),
        rows=tuple(rows),
        note="Expected losses: payout not earned back if kept, revenue above payout forgone if dropped, in currency.",
    )


def table_slices(results: Row, variable: str) -> Table:
    """Return ROAS of the levels of a variable: sums, and the posterior where it is made of whole influencers."""
    parts = [row for row in results["slices"] if row["variable"] == variable]
    shown = results["incremental"] is not None and results["incremental"]["by_influencer"]
    rows = []
    for part in parts:
        effect = find_effect(results, "roas", variable, part["level"])
        lift = find_effect(results, "incremental_roas", variable, part["level"]) if shown else None
        rows.append(
            (
                part["level"],
                say_money(part["revenue"]),
                say_money(part["payout"]),
                format_count(part["orders"]),
                format_count(part["influencers"]),
                say_roas(part["roas"]),
                _say_interval(effect)[1],
                _say_chance(effect),
                _say_interval(lift)[0],
                _say_interval(lift)[1],
            )
        )
    shared = variable in ("campaign", "product", "source")
    note = "Payouts are shared out in proportion to each influencer's exposed orders, as payouts do not name them."
    head = (
        "",
        "revenue",
        "payout",
        "orders",
        "influencers",
        "ROAS",
        "interval",
        "P(ROAS > 1)",
        "incremental",
        "interval",
    )
    width = 6 if shared else 10 if shown else 8
    return Table(
        id=f"table-{variable}",
        caption=f"{VARIABLES[variable]}: ratios of sums",
        head=head[:width],
        rows=tuple(row[:width] for row in rows),
        note=note if shared else "",
    )


def table_checks(results: Row) -> Table:
    """Return the checks that did not pass, then the counts of those that did."""
    rows = [row for row in results["diagnostics"] if row["status"] != "pass"]
    return Table(
        id="table-checks",
        caption=f"Checks: {len(results['diagnostics']) - len(rows)} passed, {len(rows)} did not",
        head=("status", "check", "meaning"),
        rows=tuple((row["status"], row["name"], row["meaning"]) for row in rows),
        left=3,
        marks=tuple(row["status"] for row in rows),
        wide=2,
    )


def table_engagement(results: Row) -> Table:
    """Return engagement by platform."""
    return Table(
        id="table-engagement",
        caption="Engagement: (likes + comments) / reach, by sums",
        head=("platform", "posts", "without reach", "engaged", "reach", "rate"),
        rows=tuple(
            (
                row["platform"],
                format_count(row["posts"]),
                format_count(row["posts_without_reach"]),
                format_count(row["engaged"]),
                format_number(row["reach"], 6),
                format_share(row["rate"]),
            )
            for row in results["engagement"]
        ),
    )
