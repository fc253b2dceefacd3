"""Two sets of draws are compared with honest Monte Carlo errors, and the table says what lies outside the bands."""

import json
import math
from dataclasses import replace
from pathlib import Path

import engines_agree
import numpy as np
import pytest
from comparison.agreement import Agreement, compare_draws, name_parameters, render_agreement, summarise_agreement

from influbayes.hierarchy.design import build_design
from influbayes.hierarchy.spec import load_spec
from influbayes.inference.laplace import sample_laplace
from influbayes.tables.reader import read_posts
from influbayes.tables.simulate import render_posts_csv, simulate_posts

GOOD = Agreement(parameter="intercept", shift=0.01, shift_error=0.01, ratio=1.01, ratio_error=0.01)


def draw_normal(seed: int, *, mean: float = 0.0, sd: float = 1.0, draws: int = 2000) -> np.ndarray:
    return mean + sd * np.random.default_rng(seed).standard_normal((4, draws))


def draw_slowly(seed: int, draws: int = 2000, carry: float = 0.9) -> np.ndarray:
    steps = np.random.default_rng(seed).standard_normal((4, draws)) * math.sqrt(1 - carry**2)
    chains = np.empty_like(steps)
    chains[:, 0] = np.random.default_rng(seed + 1000).standard_normal(4)
    for k in range(1, draws):
        chains[:, k] = carry * chains[:, k - 1] + steps[:, k]
    return chains


def test_shift_and_ratio_are_in_units_of_the_reference() -> None:
    one = compare_draws("x", draw_normal(1, mean=3.0, sd=1.0), draw_normal(2, mean=2.0, sd=2.0))
    assert one.shift == pytest.approx(0.5, abs=0.05)
    assert one.ratio == pytest.approx(0.5, abs=0.02)
    # 8,000 independent Normal draws each: the error of the mean is sd / sqrt(8000), that of the sd sd / sqrt(16000).
    assert one.shift_error == pytest.approx(math.hypot(0.5, 1.0) / math.sqrt(8000), rel=0.15)
    assert one.ratio_error == pytest.approx(0.5 * math.sqrt(2 / 16000), rel=0.15)


@pytest.mark.parametrize("draw", [draw_normal, draw_slowly])
def test_errors_are_the_spread_over_repetitions(draw) -> None:
    found = [compare_draws("x", draw(2 * k), draw(2 * k + 1)) for k in range(80)]
    shifts, ratios = np.array([one.shift for one in found]), np.array([one.ratio for one in found])
    assert shifts.std() == pytest.approx(np.mean([one.shift_error for one in found]), rel=0.3)
    assert ratios.std() == pytest.approx(np.mean([one.ratio_error for one in found]), rel=0.3)


def test_not_a_number_and_draws_that_do_not_move_differ() -> None:
    broken = draw_normal(1)
    broken[0, 3] = np.nan
    for tested in (broken, np.zeros((4, 2000))):
        one = compare_draws("x", tested, draw_normal(2))
        assert one.excess == math.inf
        assert compare_draws("x", draw_normal(2), tested).excess == math.inf
        assert summarise_agreement([GOOD, one, GOOD])["verdict"] == "differ"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "agree"),
        ({"shift": -0.1}, "agree"),
        ({"shift": -0.12}, "undecided"),
        ({"shift": -0.14}, "differ"),
        ({"ratio": 0.94}, "undecided"),
        ({"ratio": 0.91}, "differ"),
        ({"ratio": 1.09}, "differ"),
        ({"ratio": math.nan}, "differ"),
        ({"shift": 0.11, "shift_error": 0.0}, "differ"),
    ],
)
def test_the_verdict_is_that_of_the_worst_parameter(changes: dict[str, float], verdict: str) -> None:
    made = summarise_agreement([GOOD, replace(GOOD, parameter="slope[x]", **changes), GOOD])
    assert made["verdict"] == verdict
    assert [one["parameter"] for one in made["outside"]] == ["slope[x]"] * (verdict != "agree")


def test_the_parameters_farthest_off_are_named_and_not_a_number_is_farthest() -> None:
    rows = [
        replace(GOOD, parameter="a", shift=-0.3),
        replace(GOOD, parameter="b", ratio=0.9),
        replace(GOOD, parameter="c", ratio=1.2),
    ]
    made = summarise_agreement(rows)
    assert [made[key]["parameter"] for key in ("largest_shift", "lowest_ratio", "highest_ratio")] == ["a", "b", "c"]
    lost = replace(GOOD, parameter="lost", shift=math.nan, ratio=math.nan)
    made = summarise_agreement([*rows, lost])
    assert {made[key]["parameter"] for key in ("largest_shift", "lowest_ratio", "highest_ratio")} == {"lost"}


def test_every_number_of_a_model_has_its_name(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_bytes(render_posts_csv(simulate_posts(posts=60, creators=12, seed=1)).encode())
    design = build_design(read_posts(path), load_spec("conversion_creator"))
    draws = sample_laplace(design, draws=100, seed=1).draws
    named = dict(name_parameters(design, draws))
    assert len(named) == sum(values[0, 0].size for values in draws.values())
    levels = design.levels["Influencer_Tier"]
    np.testing.assert_array_equal(
        named["effect_Influencer_Tier[Micro]"], draws["effect_Influencer_Tier"][..., levels.index("Micro")]
    )
    np.testing.assert_array_equal(named["slope[Swipe_Ups]"], draws["slope"][..., 1])


def make_record(**changes: float) -> dict:
    row = {
        "model": "a|b",
        "posts": 1500,
        "laplace": {"draws": 40_000, "seconds": 1.0, "certified": not changes},
        "nuts": {"draws": 40_000, "seconds": 9.0, "divergences": len(changes)},
        **summarise_agreement([GOOD, replace(GOOD, parameter="scale_x", **changes)]),
    }
    machine = {"processor": "a processor", "versions": "Python 3"}
    return {"date": "2026-01-01", "machine": machine, "absent": ["the rest."], "rows": [row]}


def test_the_table_shows_both_sides() -> None:
    good = render_agreement(make_record())
    assert "| a/b | 1,500 | 2 | 40,000 | 40,000 | 0.010 (intercept) |" in good
    assert good.rstrip().endswith("Left out: the rest.")
    assert "agree |" in good
    assert "Outside a band" not in good
    bad = render_agreement(json.loads(json.dumps(make_record(shift=0.5))))
    assert "40,000, not certified | 40,000, 1 divergent | 0.500 (scale_x)" in bad
    assert "- a|b, scale_x: shift +0.500 (error 0.010), sd ratio 1.010 (error 0.010)" in bad


def test_a_comparison_that_is_too_rough_is_made_again_with_more_draws(monkeypatch) -> None:
    errors, asked = iter((0.02, 0.02)), []

    def compare(name: str, design: object, *, draws: int, seed: int) -> dict:
        asked.append(draws)
        error = next(errors)
        return {"model": name, "lowest_ratio": {"ratio_error": 0.0}, "highest_ratio": {"ratio_error": error}}

    monkeypatch.setattr(engines_agree, "compare_engines", compare)
    assert engines_agree.compare_until_sure("a", None, draws=100, seed=1)["model"] == "a"
    assert asked == [100, 400], "once more, and not again"
    errors = iter((0.01,))
    asked.clear()
    engines_agree.compare_until_sure("a", None, draws=100, seed=1)
    assert asked == [100]


def test_only_rows_made_alike_are_kept(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(engines_agree, "RESULTS", tmp_path)
    record = {"machine": {"versions": "1"}, "seed": 1, "draws": {"models": 10}}
    assert engines_agree.read_rows(record, "none") == []
    (tmp_path / "one.json").write_text(json.dumps({**record, "rows": [{"model": "a"}]}))
    assert engines_agree.read_rows(record, "one") == [{"model": "a"}]
    for key, value in (("machine", {"versions": "2"}), ("seed", 2), ("draws", {"models": 11})):
        assert engines_agree.read_rows({**record, key: value}, "one") == []


def test_without_reference_models_it_is_said(tmp_path: Path) -> None:
    assert "no folder was given" in engines_agree.explain_absence(None)[0]
    assert "holds none" in engines_agree.explain_absence(tmp_path)[0]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "spec.toml").touch()
    assert engines_agree.explain_absence(tmp_path) == []
