"""`influbayes fit` and what is asked of it about buying: the options, and what each refuses, in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from influbayes import fit, pipeline
from influbayes.reporting.decision_words import write_sentences
from influbayes.tables.simulate import simulate_posts

QUICK = ["--engine", "laplace", "--draws", "200", "--quiet", "--out", "run"]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    simulate_posts(posts=160, creators=24, seed=2).frame.to_csv(tmp_path / "posts.csv", index=False)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run folder with results.json alone: drawing takes seconds."""
    encode = pipeline.encode_results
    monkeypatch.setattr(pipeline, "make_files", lambda analysis, results, **_: {"results.json": encode(results)})
    monkeypatch.setattr(pipeline, "draw_model", lambda analysis: None)


def decide(*words: str) -> dict[str, list[dict[str, Any]]]:
    """Fit and return the decisions of results.json by kind."""
    assert fit.main(["posts.csv", *QUICK, *words]) == 0
    found: dict[str, list[dict[str, Any]]] = {}
    for row in json.loads(Path("run/results.json").read_text(encoding="utf-8"))["decisions"]:
        found.setdefault(row["kind"], []).append(row)
        assert write_sentences(row) == row["sentences"], "sentences are written again from the file alone"
    return found


def add_column(name: str, make: Callable[[Any], Any], *, drop: list[str] | None = None) -> None:
    frame = simulate_posts(posts=160, creators=24, seed=2).frame
    frame[name] = make(frame)
    frame.drop(columns=drop or []).to_csv("posts.csv", index=False)


# --- what each option does --------------------------------------------------------------------------------------------


def test_nothing_is_practically_equal_and_no_mix_is_planned_unless_asked(no_pictures: None) -> None:
    found = decide()
    assert "equivalence" not in found
    assert "planned_mix" not in found
    assert [row["inputs"]["method"] for row in found["comparison"]] == ["leave_one_out"]


def test_threshold_and_mix_reach_the_results(no_pictures: None) -> None:
    found = decide("--threshold", "1.25", "--mix", "US=3,EU=1")
    assert {row["inputs"]["threshold"] for row in found["equivalence"]} == {1.25}
    assert all("odds ratio between 0.8 and 1.25, " in text for row in found["equivalence"] for text in row["sentences"])
    (mix,) = found["planned_mix"]
    assert mix["inputs"]["weights"] == {"US": 0.75, "EU": 0.25}
    assert all("75 % US and 25 % EU" in text for text in mix["sentences"])


def test_a_value_of_a_purchase_prices_the_purchases(no_pictures: None) -> None:
    add_column("Purchases", lambda frame: frame["Converted"] * (1 + (frame["Swipe_Ups"] % 3)))
    (counted,) = decide("--value-per-purchase", "40")["premium"]
    assert counted["inputs"]["values"] == "Purchases"
    assert counted["inputs"]["amounts"]["price"] == 40
    purchases = {row["level"]: row["estimate"] for row in counted["inputs"]["conversion_values"]}
    assert all(40 <= amount <= 120 for amount in purchases.values())  # 1 to 3 purchases at 40 each
    assert any("at 40 a purchase" in text for text in counted["sentences"])


def test_folds_of_whole_creators_are_compared_on_request(no_pictures: None) -> None:
    found = decide("--cross-validate")
    exact = next(row for row in found["comparison"] if row["inputs"]["method"] == "creators_left_out")
    assert exact["rows"], "no specification was scored"
    assert exact["sentences"][0].startswith(
        f"Leaving out whole creators, in {exact['inputs']['folds']} folds, with exact refits, the left-out posts are "
    )


# --- what each option refuses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--mix", "US=60,MARS=40"],
            "--mix 'US=60,MARS=40': MARS is no level of Audience_Region in the posts. It has APAC, EU, LATAM, US.",
        ),
        (["--mix", "US"], "--mix 'US': write a share of 0 or more for each region (US=60,EU=40); they are scaled."),
        (["--mix", "US=0"], "--mix 'US=0': write a share of 0 or more for each region (US=60,EU=40)"),
        (["--mix", "US=-1,EU=2"], "--mix 'US=-1,EU=2': write a share of 0 or more for each region"),
        (["--mix", "US=1,US=2"], "--mix 'US=1,US=2': write a share of 0 or more for each region"),
        (["--mix", "US=nan"], "--mix 'US=nan': write a share of 0 or more for each region"),
        (
            ["--value-per-purchase", "40"],
            "--value-per-purchase needs a column Purchases (purchases of each post). Add it, name yours with --map "
            "Purchases=NAME, or give --value-per-conversion.",
        ),
        (["--value-per-purchase", "-4"], "--value-per-purchase -4: give an amount of money, 0 or more."),
        (["--value-per-purchase", "inf"], "--value-per-purchase inf: give an amount of money, 0 or more."),
        (["--value-per-purchase", "much"], "argument --value-per-purchase: invalid float value: 'much'"),
        (
            ["--value-per-purchase", "4", "--value-per-conversion", "5"],
            "--value-per-conversion and --value-per-purchase are given: each says what a conversion is worth. Keep",
        ),
        (
            ["--value-per-conversion", "Mega=9"],
            "--value-per-conversion names Mega; give one amount for each of Mega, Micro, Mid.",
        ),
        (["--value-per-conversion", "-1"], "--value-per-conversion '-1': write one amount (25), or one for each level"),
        (["--threshold", "1"], "--threshold"),
        (
            ["--cross-validate", "--engine", "nuts"],
            "--cross-validate fits every model many times, and --engine nuts is too slow for that. Leave out either.",
        ),
    ],
)
def test_a_wrong_word_is_code_2_and_says_option_value_reason_and_remedy(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = fit.main(["posts.csv", *words])
    except SystemExit as leaving:  # argparse's own
        code = int(leaving.code or 0)
    told = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert message in told
    assert not Path("runs").exists()


def test_a_mix_without_a_second_column_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    spec = Path(str(files("influbayes.models").joinpath("conversion.toml"))).read_text(encoding="utf-8")
    first, _, _ = spec.partition('column = "Audience_Region"')
    Path("tiers.toml").write_text(first.rpartition("[[factor]]")[0], encoding="utf-8")
    assert fit.main(["posts.csv", "--model", "tiers.toml", "--mix", "US=1"]) == 2
    assert (
        "--mix 'US=1': the model has no second label column, such as region, to spread posts over. Leave --mix out."
        in capsys.readouterr().err
    )


def test_folds_without_creators_are_refused_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    add_column("Fee", lambda frame: 5, drop=["Creator_ID"])
    assert fit.main(["posts.csv", "--cross-validate"]) == 2
    told = capsys.readouterr().err
    assert "--cross-validate keeps the posts of a creator together: posts.csv has no Creator_ID." in told
    assert "Add the column, name yours with --map Creator_ID=NAME, or leave --cross-validate out." in told


def test_a_value_of_a_purchase_beside_revenue_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    frame = simulate_posts(posts=160, creators=24, seed=2).frame
    frame = frame.assign(Purchases=frame["Converted"], Revenue=30 * frame["Converted"])
    frame.to_csv("posts.csv", index=False)
    assert fit.main(["posts.csv", "--value-per-purchase", "3"]) == 2
    assert "--value-per-purchase is given, and the table has a column Revenue" in capsys.readouterr().err


def test_purchases_that_contradict_the_outcome_are_code_3_with_line_and_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    add_column("Purchases", lambda frame: 1)
    assert fit.main(["posts.csv", "--value-per-purchase", "3"]) == 3
    told = capsys.readouterr().err
    assert "Purchases" in told
    assert "line" in told
