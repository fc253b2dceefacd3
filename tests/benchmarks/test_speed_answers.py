"""What programs of the speed comparison hand back is read and judged as agreed."""

import math
from pathlib import Path

import numpy as np
import pytest
from comparison.answers import UnreadableAnswer, compare_levels, judge_accuracy, read_answer

# As base R's write.csv writes them.
FIGURES = '"name","value"\n"fit_seconds","12.25"\n"divergences","5"\n"version","rstanarm 2.21.3 R 4.2.2"\n'
SUMMARY = '"name","mean","sd"\n"slope[Swipe_Ups]",0.679,0.103\n"tier[Mid]-tier[Mega]",0.35,0.18\n"scale_Region",0.15,\n'


def write_files(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def write_r_draws(draws: dict[str, np.ndarray]) -> str:
    chains, length = next(iter(draws.values())).shape
    lines = [",".join(f'"{name}"' for name in ("chain", *draws))]
    lines += [
        ",".join([str(chain + 1), *(repr(float(values[chain, k])) for values in draws.values())])
        for chain in range(chains)
        for k in range(length)
    ]
    return "\n".join(lines) + "\n"


def simulate_draws(shape: tuple[int, int] = (4, 500)) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    names = ("intercept", "slope[Swipe_Ups]", "tier[Mega]", "tier[Mid]", "region[US]", "region[EU]", "scale_Tier")
    return {name: rng.standard_normal(shape) for name in names}


def test_a_summary_of_r_is_read_and_a_missing_sd_is_not_a_number(tmp_path: Path) -> None:
    answer = read_answer(write_files(tmp_path, figures=FIGURES, summary=SUMMARY))
    assert answer.figures == {"fit_seconds": 12.25, "divergences": 5.0, "version": "rstanarm 2.21.3 R 4.2.2"}
    assert answer.summary["tier[Mid]-tier[Mega]"] == (0.35, 0.18)
    assert answer.summary["scale_Region"][0] == 0.15
    assert math.isnan(answer.summary["scale_Region"][1])
    assert answer.worst_ess is None


def test_draws_of_r_and_of_python_give_the_same_answer(tmp_path: Path) -> None:
    draws = simulate_draws()
    (tmp_path / "r").mkdir()
    (tmp_path / "python").mkdir()
    in_r = read_answer(write_files(tmp_path / "r", figures=FIGURES, draws=write_r_draws(draws)))
    np.savez(write_files(tmp_path / "python", figures=FIGURES) / "draws.npz", **draws)
    in_python = read_answer(tmp_path / "python")
    assert in_r.worst_ess == in_python.worst_ess
    assert in_r.summary == in_python.summary
    mean, sd = in_r.summary["tier[Mid]-tier[Mega]"]
    assert mean == pytest.approx((draws["tier[Mid]"] - draws["tier[Mega]"]).mean())
    assert sd == pytest.approx((draws["tier[Mid]"] - draws["tier[Mega]"]).std())


def test_the_worst_parameter_is_the_one_that_mixes_worst(tmp_path: Path) -> None:
    draws = simulate_draws()
    slow = np.cumsum(np.random.default_rng(2).standard_normal((4, 500)), axis=1)
    np.savez(write_files(tmp_path, figures=FIGURES) / "draws.npz", **{**draws, "intercept": slow})
    answer = read_answer(tmp_path)
    assert answer.worst_parameter == "intercept"
    assert answer.worst_ess is not None
    assert answer.shared_ess is not None
    assert answer.worst_ess < 50 < 1000 < answer.shared_ess, "the intercept is no compared quantity"


def test_contrasts_are_against_the_reference_level() -> None:
    shared = compare_levels(simulate_draws())
    assert set(shared) == {"slope[Swipe_Ups]", "scale_Tier", "tier[Mid]-tier[Mega]", "region[EU]-region[US]"}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({}, "figures.csv is missing"),
        ({"figures": '"name","value"\n', "summary": SUMMARY}, "no fit_seconds"),
        ({"figures": FIGURES}, "summary.csv is missing"),
        ({"figures": FIGURES, "draws": '"a","b"\n1,2\n'}, "must start with the column chain"),
    ],
)
def test_an_answer_not_as_agreed_is_refused(tmp_path: Path, texts: dict[str, str], said: str) -> None:
    with pytest.raises(UnreadableAnswer, match=said):
        read_answer(write_files(tmp_path, **texts))


def test_accuracy_is_counted_in_sds_of_the_reference_and_scales_apart() -> None:
    reference = {"slope[x]": (1.0, 0.5), "scale_Tier": (0.8, 0.2)}
    judged = judge_accuracy({"slope[x]": (1.5, 0.5), "scale_Tier": (0.7, 0.1), "other": (9.0, 1.0)}, reference)
    assert judged["worst_shift"] == pytest.approx(1.0)
    assert judged["worst_shift_of"] == "slope[x]"
    assert judged["scale_shift"] == pytest.approx(0.5)
    assert (judged["sd_ratio_low"], judged["sd_ratio_high"]) == (0.5, 1.0)


def test_a_program_without_sds_has_no_ratio_and_one_that_leaves_out_a_quantity_is_refused() -> None:
    reference = {"scale_Tier": (0.8, 0.2)}
    assert judge_accuracy({"scale_Tier": (0.8, math.nan)}, reference)["sd_ratio_low"] is None
    with pytest.raises(UnreadableAnswer, match="no scale_Tier"):
        judge_accuracy({}, reference)
