"""Pictures: they apply to what is there, hide what is withheld, survive hostile labels, and are the same each time."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from influbayes.hierarchy.spec import NormalPrior, ScalePrior
from influbayes.reporting.plots import draw_plots, find_withheld_cells, find_withheld_claims, save_figure
from influbayes.reporting.plots_checks import make_normal_density, make_scale_density
from influbayes.reporting.plots_curves import predict_curve
from influbayes.reporting.plots_rates import judge_luck
from influbayes.reporting.plots_style import (
    clean_label,
    drawing_style,
    escape_math,
    estimate_density,
    keep_order,
    limit_odds,
    new_figure,
    show_odds,
)
from influbayes.reporting.results import collect_results

HOSTILE = (
    "<script>alert(1)</script>",
    r"$\frac{1}{0}$",
    "{{7*7}}{% raw %}",
    "a" * 300,
    "\u202eשלום\u202c",
    "😀👩‍👧 日本語",
    "=cmd|' /C calc'!A0",
    "$unclosed \\",
    "[red]x[/b]\x1b[31m",
    "",
)
NAMES = ("contrasts", "forest", "map", "levels", "creators", "curves", "calibration")


def read_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def rename_levels(analysis, names):
    """The same study with other labels; `names` maps old to new."""

    def rename(text):
        if text is None:
            return None
        return ":".join(names.get(part, part) for part in text.split(":"))

    def rename_row(row):
        changes = {key: rename(getattr(row, key)) for key in ("level", "reference") if hasattr(row, key)}
        return replace(row, **changes)

    def rename_fit(fit):
        levels = {column: tuple(rename(level) for level in given) for column, given in fit.design.levels.items()}
        factors = tuple(replace(term, reference=rename(term.reference)) for term in fit.design.factors)
        return replace(fit, design=replace(fit.design, levels=levels, factors=factors))

    parts = tuple(
        replace(
            part,
            fit=rename_fit(part.fit),
            effects=tuple(rename_row(row) for row in part.effects),
            claims=tuple(rename_row(row) for row in part.claims),
            checks=tuple(replace(check, subject=rename(check.subject)) for check in part.checks),
        )
        for part in analysis.questions
    )
    frame = analysis.posts.frame.replace(names)
    return replace(analysis, questions=parts, posts=replace(analysis.posts, frame=frame))


@pytest.fixture(scope="module")
def figures(conversion_analysis, conversion_results):
    return draw_plots(conversion_results, conversion_analysis)


def test_every_picture_of_a_study_with_creators_and_numerics_is_drawn(figures):
    assert tuple(name for name in figures if "_" not in name) == NAMES
    questions = ("as_bought", "engagement_constant")
    assert {f"{kind}_{name}" for kind in ("checks", "chains", "priors") for name in questions} <= set(figures)


def test_every_axis_that_shows_numbers_has_a_label(figures):
    for name, figure in figures.items():
        for axes in figure.axes:
            numbers = axes.xaxis.get_tick_params().get("labelbottom", True)
            assert not axes.get_visible() or axes.get_xlabel() or (not numbers and axes.get_title(loc="left")), name


def test_the_lowest_panel_of_every_column_of_chains_is_labelled(figures):
    for name in ("chains_as_bought", "chains_engagement_constant"):
        shown = [axes for axes in figures[name].axes if axes.get_visible()]
        columns = {axes.get_subplotspec().colspan.start for axes in shown}
        for column in columns:
            lowest = [axes for axes in shown if axes.get_subplotspec().colspan.start == column][-1]
            assert lowest.get_xlabel()
            assert lowest.xaxis.get_tick_params()["labelbottom"]


def test_same_study_gives_the_same_bytes(conversion_analysis, conversion_results, figures):
    again = draw_plots(conversion_results, conversion_analysis)
    for name in ("contrasts", "map"):
        assert save_figure(again[name]) == save_figure(figures[name])


def test_png_has_the_report_width_and_no_date_or_version(figures):
    data = save_figure(figures["forest"])
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">I", data[16:20]) == (1200,)
    assert b"tEXt" not in data
    assert b"Matplotlib" not in data


def test_probability_beside_a_hill_is_that_of_the_claim(conversion_analysis, figures):
    part = next(part for part in conversion_analysis.questions if part.fit.design.question == "as_bought")
    probability = part.probabilities["as_bought/beats/Audience_Region/EU/US"].value
    assert f"{100 * probability:.0f} %" in read_texts(figures["contrasts"])


def test_withheld_claim_is_drawn_without_its_probability(conversion_analysis, judge, make_check):
    claim = "as_bought/beats/Influencer_Tier/Micro/Mega"
    item = make_check("sensitivity", "as_bought", claim, status="fail", consequence="statement_withheld")
    results = judge(conversion_analysis, item)
    assert find_withheld_claims(results) >= {claim}
    assert "withheld" in read_texts(draw_plots(results, conversion_analysis)["contrasts"])


def test_withheld_cell_is_grey_on_the_map(conversion_analysis, judge, make_check):
    item = make_check("predictive_cell", "as_bought", "Micro:EU", status="fail", consequence="cell_withheld")
    results = judge(conversion_analysis, item)
    assert find_withheld_cells(results) == {"Micro:EU"}
    figure = draw_plots(results, conversion_analysis)["map"]
    assert "withheld" in read_texts(figure)


def test_of_a_withheld_study_only_the_chains_are_drawn(conversion_analysis, judge, make_check):
    item = make_check("rhat", "as_bought", "intercept", status="fail", value=1.4, consequence="all_withheld")
    drawn = draw_plots(judge(conversion_analysis, item), conversion_analysis)
    assert set(drawn) == {"chains_as_bought", "chains_engagement_constant"}


@pytest.mark.parametrize(
    ("posts", "rate", "words"),
    [
        (4, 0.75, "too good to be true: 4 posts"),
        (4, 0.0, "too bad to be true: 4 posts"),
        (1, 1.0, "too good to be true: 1 post"),
        (40, 1.0, "too good to be true: 40 posts"),
        (40, 0.3, ""),
        (0, None, ""),
    ],
)
def test_cells_with_few_posts_or_extreme_rates_are_marked(posts, rate, words):
    assert judge_luck(posts, rate, 0.4) == words


def test_map_marks_cells_of_six_posts(figures):
    assert any("to be\ntrue: 6 posts" in text for text in read_texts(figures["map"]))


def test_hostile_labels_draw_without_warning_and_never_run_as_mathtext(conversion_analysis):
    old = ("Mega", "Micro", "Mid", "APAC", "EU", "LATAM", "US", "c00", "c01", "c02")
    renamed = rename_levels(conversion_analysis, dict(zip(old, HOSTILE, strict=True)))
    results = collect_results(renamed, created="2026-01-01T00:00:00+00:00")
    drawn = draw_plots({**results, "status": "ok"}, renamed)
    for name in ("contrasts", "forest", "map", "levels", "creators", "checks_as_bought"):
        assert save_figure(drawn[name]).startswith(b"\x89PNG")
    assert any(r"\$\frac" in text for text in read_texts(drawn["contrasts"]))


def test_labels_are_cut_cleaned_and_escaped():
    assert clean_label("x" * 60) == "x" * 27 + "…"
    assert clean_label("a\nb\x1b[31m\u202e") == "a b[31m"
    assert clean_label("  ") == "(blank)"
    assert "日" not in clean_label("日") or len(clean_label("日")) == 1
    assert escape_math("$x$ 5$") == r"\$x\$ 5\$"


def test_drawing_leaves_the_settings_of_the_user_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    with drawing_style():
        assert matplotlib.rcParams["text.usetex"] is False
    assert dict(matplotlib.rcParams) == before


def test_density_of_draws_is_that_of_their_distribution():
    draws = np.random.default_rng(1).normal(2.0, 0.5, 40_000)
    grid = np.linspace(-1, 5, 601)
    exact = make_normal_density(NormalPrior(mean=2.0, sd=0.5))(grid)
    found = estimate_density(draws, grid)
    assert np.abs(found - exact).max() < 0.05
    assert np.trapezoid(found, grid) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("family", "parameters", "expected"),
    [
        ("half_normal", (0.5,), {0.0: 1.5957691216057308, 0.5: 0.9678828980765735}),
        ("exponential", (2.0,), {0.0: 2.0, 1.0: 0.2706705664732254}),
        ("half_cauchy", (1.0,), {0.0: 0.6366197723675814, 1.0: 0.3183098861837907}),
        ("half_student_t", (3.0, 2.0), {0.0: 0.3675525969478612, 2.0: 0.20674833578317194}),
    ],
)
def test_prior_densities_equal_their_closed_forms(family, parameters, expected):
    density = make_scale_density(ScalePrior(family=family, parameters=parameters))
    found = {x: float(density(np.array([x]))[0]) for x in expected}
    assert found == pytest.approx(expected)
    grid = np.linspace(0, 2000, 2_000_001)
    assert np.trapezoid(density(grid), grid) == pytest.approx(1, abs=1e-3)


def test_curve_at_one_value_is_the_mean_expected_value_there(conversion_analysis):
    part = next(part for part in conversion_analysis.questions if part.fit.design.numerics)
    fit, design = part.fit, part.fit.design
    curve = predict_curve(fit, "Swipe_Ups", np.array([30.0, 90.0]))
    at = design.numeric_names.index("Swipe_Ups")
    thin = max(1, fit.draws["intercept"].size // 400)
    draws = {name: values[:, ::thin] for name, values in fit.draws.items()}
    x = design.rows.x.copy()
    x[:, at] = (30.0 - design.scalers[at].centre) / design.scalers[at].scale
    eta = draws["intercept"][..., None] + draws["slope"] @ x.T
    for term in design.factors:
        eta = eta + draws[f"effect_{term.column}"][..., design.rows.codes[term.column]]
    expected = (1 / (1 + np.exp(-eta))).mean(axis=-1).ravel()
    np.testing.assert_allclose(curve[:, 0], expected, rtol=1e-10)
    assert np.median(curve[:, 1]) > np.median(curve[:, 0])


def test_without_numerics_and_creators_their_pictures_are_left_out(conversion_analysis):
    part = next(part for part in conversion_analysis.questions if part.fit.design.question == "as_bought")
    factors = tuple(term for term in part.fit.design.factors if term.levels == "all")
    kept = replace(part, fit=replace(part.fit, design=replace(part.fit.design, factors=factors)))
    alone = replace(conversion_analysis, questions=(kept,))
    drawn = draw_plots(collect_results(alone, created="2026-01-01T00:00:00+00:00"), alone)
    assert not {"creators", "curves"} & set(drawn)
    assert "contrasts" in drawn


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_column_names_in_a_title_are_drawn_as_text(name):
    with drawing_style():
        figure = new_figure(2.0, title=f"How conversion moves with {name} and {name}", subtitle="Nothing else.")
        figure.subplots()
    assert save_figure(figure).startswith(b"\x89PNG")


def test_label_from_right_to_left_does_not_turn_the_words_beside_it():
    assert keep_order("Micro against Mega") == "Micro against Mega"
    assert keep_order("שלום against Mega") == "\u200eשלום against Mega"


@pytest.mark.parametrize("top", [1.3, 12.0, 4e3, 1e9])
def test_odds_axis_shows_the_null_and_a_few_readable_ticks(top):
    low, high = limit_odds([0.9], [top])
    assert low < 1 < high <= 1e6
    figure = Figure()
    axes = figure.subplots()
    show_odds(axes, low, high)
    figure.canvas.draw()
    words = [label.get_text() for label in axes.get_xticklabels()]
    assert "1" in words
    assert 1 <= len(words) <= 8


def test_both_questions_show_the_same_rows_of_a_factor_with_many_levels(conversion_analysis, monkeypatch):
    from influbayes.reporting import plots_contrasts

    monkeypatch.setattr(plots_contrasts, "MOST_ROWS", 2)
    picked = plots_contrasts.pick_claims(conversion_analysis)
    rows = [[(claim.variable, claim.level, claim.reference) for claim in claims] for _, claims in picked]
    assert rows[0] == rows[1]
    assert [variable for variable, _, _ in rows[0]].count("Audience_Region") == 2
    assert picked[0][0].fit.design.question == "as_bought"
