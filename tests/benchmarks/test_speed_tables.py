"""Tables and picture of the speed comparison say what its rows hold; the committed ones are those of the record."""

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import speed
from comparison.picture import LEAST_STEP, collect_lines, draw_record, place_labels
from comparison.programs import OURS
from comparison.tables import compare_speed, estimate_slope, render_short, render_tables, summarise_ours

ROOT = Path(__file__).resolve().parents[2]


def make_row(program: str, posts: int, seconds: float, **more: Any) -> dict[str, Any]:
    row = {
        "posts": posts,
        "creators": 0,
        "program": program,
        "cache": "none",
        "reference": "nuts",
        "whole_seconds": seconds + 1,
        "whole_cpu_seconds": seconds + 1,
        "peak_megabytes": 150.0,
        "fit_seconds": seconds,
        "fit_cpu_seconds": seconds / 2,
        "worst_ess": None,
        "version": "some 1.0",
        "worst_shift": 0.02,
        "worst_shift_of": "slope[x]",
        "scale_shift": 0.01,
        "sd_ratio_low": 0.99,
        "sd_ratio_high": 1.02,
    }
    return row | more


def make_record() -> dict[str, Any]:
    beside = [
        {"fit_seconds": 0.1, "fit_cpu_seconds": 0.1, "worst_ess": 4000.0},
        {"fit_seconds": 0.4, "fit_cpu_seconds": 0.1, "worst_ess": 4000.0},
    ]
    rows = [
        make_row(OURS, 1000, 9.0, cache="cold", worst_ess=4000.0, ess_per_second=444.0),
        make_row(OURS, 1000, 0.1, worst_ess=4000.0, ess_per_second=40_000.0),
        make_row(OURS, 1000, 0.4, worst_ess=4000.0, ess_per_second=10_000.0),
        make_row("bambi-nutpie", 1000, 50.0, cache="cold", worst_ess=200.0),
        make_row("bambi-nutpie", 1000, 10.0, cache="warm", worst_ess=200.0, divergences=42.0, ours_beside=beside),
        make_row("lme4", 1000, 2.0, ours_beside=beside, sd_ratio_low=None, sd_ratio_high=None),
        make_row(OURS, 100_000, 10.0, worst_ess=4000.0, ess_per_second=400.0),
        {"posts": 100_000, "creators": 0, "program": "bambi-nutpie", "not_run": "not run: why"},
        {"posts": 100_000, "creators": 0, "program": "lme4", "cache": "none", "failed": "stopped after 60 s"},
    ]
    machine = dict.fromkeys(("processor", "cores", "memory", "system", "versions"), "some")
    return {"date": "2026-01-01", "machine": machine, "limit": 60.0, "absent": {"rstanarm": "no R"}, "rows": rows}


def test_speed_is_compared_with_the_runs_beside() -> None:
    rows = make_record()["rows"]
    # ESS per second: geometric mean of 40,000 and 10,000 is 20,000; Bambi has 20.
    assert compare_speed(rows[4]) == pytest.approx(1000.0)
    assert compare_speed(rows[4], seconds="fit_cpu_seconds") == pytest.approx(40_000 / 40)
    # Seconds: the geometric mean of 0.1 and 0.4 is 0.2.
    assert compare_speed(rows[5]) == pytest.approx(10.0)
    assert compare_speed(rows[0]) is None


def test_the_slope_of_a_power_law_is_its_exponent() -> None:
    assert estimate_slope({n: 3.0 * n**1.25 for n in (10, 100, 1000)}) == pytest.approx(1.25)
    assert estimate_slope({10: 1.0}) is None


def test_our_runs_are_summarised_by_their_medians() -> None:
    found = summarise_ours(make_record()["rows"])
    assert found[(1000, 0)]["fit_seconds"] == pytest.approx(0.25)
    assert (found[(1000, 0)]["runs"], found[(100_000, 0)]["runs"]) == (2, 1)


def test_every_line_of_a_table_has_the_cells_of_its_header() -> None:
    for text in (render_tables(make_record()), render_short(make_record())):
        blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
        assert blocks
        for block in blocks:
            assert len({line.count("|") for line in block}) == 1


def test_the_tables_say_numbers_reasons_and_growth() -> None:
    text = render_tables(make_record())
    bambi = "| Bambi, nutpie | 10 | 5 | 11 | 11 | 200 | - | 1,000 | 1,000 | 42 | 150 | 0.02 (slope[x]) | 0.01 |"
    assert bambi in text
    assert "| Bambi, nutpie, cold | 50 |" in text
    assert "| influbayes, laplace, cold | 9 |" in text
    assert "| influbayes, laplace (median of 2) | 0.25 |" in text
    assert "| Bambi, nutpie | not run: why |" in text
    assert "| lme4, glmer | stopped after 60 s |" in text
    assert "**rstanarm**: not run, no R." in text
    assert f"{math.log(40) / math.log(100):.2f} from 1,000 to 100,000" in text


def test_the_short_table_has_our_medians_first() -> None:
    lines = render_short(make_record()).splitlines()
    assert lines[2] == "| influbayes, laplace | 0.25 | 10 | 0.01 sd |"
    assert lines[3] == "| Bambi, nutpie | 10 | - | 0.01 sd |"
    assert lines[4] == "| lme4, glmer | 2 | stopped | 0.01 sd |"


def test_the_picture_is_written_and_its_labels_keep_apart(tmp_path: Path) -> None:
    record = make_record()
    draw_record(record, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert collect_lines(record["rows"], creators=False)["bambi-nutpie"] == [(1000, 10.0)], "warm runs only"
    placed = place_labels({"a": [(10, 1.0)], "b": [(10, 1.01)], "c": [(10, 1.02)], "d": [(100, 1.0)]})
    heights = sorted(math.log10(height) for x, _, height in placed.values() if x == 10)
    assert min(b - a for a, b in pairwise(heights)) >= LEAST_STEP - 1e-9
    assert placed["d"] == (100, 1.0, pytest.approx(1.0))


def test_the_committed_tables_are_those_of_the_record() -> None:
    results = ROOT / "benchmarks" / "results"
    record = json.loads((results / "speed.json").read_text(encoding="utf-8"))
    assert (results / "speed.md").read_text(encoding="utf-8") == render_tables(record)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert render_short(record) in readme, (
        "put the table that `benchmarks/speed.py --full --render` prints into README.md"
    )


def test_rows_measured_later_take_the_place_of_the_programs_earlier_ones() -> None:
    earlier = [
        make_row(OURS, 20, 1.0),
        make_row("lme4", 20, 9.0),
        make_row("lme4", 10, 5.0),
        make_row("glmmTMB", 20, 7),
    ]
    measured = [make_row(OURS, 20, 2.0), make_row("lme4", 20, 3.0)]
    found = [(row["posts"], row["program"], row["fit_seconds"]) for row in speed.add_rows(earlier, measured)]
    assert found == [
        (10, "lme4", 5.0),
        (20, OURS, 1.0),
        (20, "glmmTMB", 7),
        (20, OURS, 2.0),
        (20, "lme4", 3.0),
    ]
