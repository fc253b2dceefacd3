"""`influbayes calibrate`: exit codes, what is said, what is written, and that nothing half-done is left."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from influbayes import calibrate
from influbayes.calibration import calibrator, replication
from influbayes.calibration.record import is_stale, read_record
from influbayes.hierarchy.coding import dims_of
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.reporting.run_folder import verify_run

SPEC = """
title = "An intercept alone"
[outcome]
column = "Converted"
[intercept]
prior = { normal = [0, 1] }
"""


def sample_on_a_grid(design, *, engine, draws, chains, seed, progress=None, shift=0.0):
    """The exact posterior of an intercept, by its cumulative distribution on a fine grid."""
    assert list(dims_of(design)) == ["intercept"]
    grid = np.linspace(-6, 6, 6001)
    log_p = design.conversions.sum() * grid - design.trials.sum() * np.logaddexp(0, grid) - grid**2 / 2
    cdf = np.cumsum(np.exp(log_p - log_p.max()))
    u = np.random.default_rng(seed).random((chains, draws))
    values = np.interp(u, cdf / cdf[-1], grid) + shift
    run = EngineRun(name_asked=engine, name_used="grid", why="test", draws=draws, chains=chains, seed=seed, seconds=0.0)
    return Fit(design=design, draws={"intercept": values}, sample_stats={}, run=run)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the entry with the oracle in place of the engines, in this process; return (exit code, folder)."""
    monkeypatch.setattr(replication, "fit_model", sample_on_a_grid)
    monkeypatch.setattr(calibrator, "FRESH", 60)
    spec = tmp_path / "alone.toml"
    spec.write_text(SPEC)

    def call(*words, model=str(spec), out="done"):
        arguments = ["--model", model, "--out", str(tmp_path / out), "--workers", "1", "--posts", "30-60"]
        return calibrate.main([*arguments, *words]), tmp_path / out

    return call


def leftovers(folder):
    return sorted(path.name for path in folder.parent.iterdir() if path.name not in ("alone.toml", folder.name))


def test_a_right_engine_is_calibrated_and_recorded(run, capsys):
    code, folder = run("--replications", "60")
    said = capsys.readouterr().out
    assert code == 0
    assert said.startswith("Calibrated: alone with engine auto (simulated, 30 to 60 posts, one creator for every five")
    assert "Ranks and coverage of 2 quantities over 60 replications lie within their bands." in said
    assert "90 % intervals held the truth" in said
    assert "Fits: 60 by grid; 0 failed or flagged" in said
    verify_run(folder)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {"record.json", "spec.toml", "plots/ecdf.png", "plots/coverage.png", "MANIFEST.json"}
    assert json.loads((folder / "MANIFEST.json").read_text())["status"] == "calibrated"
    assert leftovers(folder) == []


def test_a_wrong_engine_ends_with_4_and_its_record_is_written(run, monkeypatch, capsys):
    def wrong(design, **settings):
        return sample_on_a_grid(design, shift=0.3, **settings)

    monkeypatch.setattr(replication, "fit_model", wrong)
    code, folder = run("--replications", "80")
    said = capsys.readouterr().out
    assert code == 4
    assert said.startswith("NOT calibrated: alone")
    assert "intercept: ranks failed, and failed again in" in said
    record = read_record(folder / "record.json")
    assert record.status == "failed"
    assert record.fresh is not None


def test_the_record_is_not_stale_for_the_specification_it_was_made_of(run, tmp_path):
    from influbayes.hierarchy.spec import load_spec

    _, folder = run("--replications", "20")
    record = read_record(folder / "record.json")
    spec = load_spec(folder / "spec.toml")
    assert not is_stale(record, specification=spec)
    assert is_stale(record, specification=replace(spec, intercept=replace(spec.intercept, sd=2.0)))


def test_progress_is_plain_lines_on_stderr(run, capsys):
    run("--replications", "20")
    error = capsys.readouterr().err
    assert re.search(r"^replication 20 of 20, \d+ s\n", error, re.MULTILINE)
    assert "\r" not in error
    assert "\x1b" not in error


def test_the_seed_decides_the_record(run):
    first, again, other = (
        (run("--replications", "20", "--seed", seed, out=out)[1] / "record.json").read_bytes()
        for seed, out in (("5", "a"), ("5", "b"), ("6", "c"))
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--posts", "many"), "--posts 'many' is no number of posts. Write one number, or two: --posts 30-500."),
        (("--posts", "60-30"), "the smaller number first"),
        (("--posts", "40", "--creators", "50"), "50 creators do not fit into tables of 40 posts."),
        (("--replications", "2"), "2 replications say nothing. Take 10 or more"),
        (("--workers", "0"), "0 workers cannot work."),
        (("--seed", "-1"), "Seed -1 is negative."),
        (("--engine", "magic"), "Unknown engine 'magic'."),
    ],
)
def test_a_call_that_is_off_ends_with_2(run, capsys, words, said):
    code, folder = run(*words)
    assert code == 2
    assert said in capsys.readouterr().err
    assert not folder.exists()
    assert leftovers(folder) == []


def test_a_missing_specification_ends_with_3(run, capsys):
    code, folder = run(model="conversoin")
    assert code == 3
    assert "Did you mean conversion" in capsys.readouterr().err
    assert not folder.exists()


def test_tables_too_small_for_the_specification_end_with_3(run, capsys):
    code, _ = run("--posts", "20", "--creators", "1", model="conversion")
    assert code == 3
    assert "only the level" in capsys.readouterr().err


def test_a_folder_that_is_taken_ends_with_5_before_any_fit(run, monkeypatch, capsys):
    _, folder = run("--replications", "20")
    before = (folder / "record.json").read_bytes()
    monkeypatch.setattr(replication, "fit_model", None)
    code, _ = run("--replications", "20")
    assert code == 5
    assert "done" in capsys.readouterr().err
    assert (folder / "record.json").read_bytes() == before


def test_an_interruption_ends_with_130_and_leaves_nothing(run, monkeypatch, capsys):
    def stop(design, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(replication, "fit_model", stop)
    code, folder = run("--replications", "20")
    assert code == 130
    assert "nothing was written" in capsys.readouterr().err
    assert not folder.exists()
    assert leftovers(folder) == []


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as stop:
        calibrate.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    options = ("--model", "--engine", "--replications", "--posts", "--creators", "--seed", "--out", "--workers")
    assert all(option in text for option in options)
