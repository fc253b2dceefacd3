"""`influbayes fit` from its words to exit code, folder and screen, with a stand-in for the sampler."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from influbayes import cli, fit, pipeline
from influbayes.errors import SamplingFailed
from influbayes.hierarchy.posterior import load_fit
from influbayes.reporting.run_folder import verify_run
from influbayes.tables.simulate import simulate_posts

QUICK = ["--draws", "200"]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Call = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the entry in this process; argparse's own exit counts as an exit code."""

    def run(*words: str, entry: Callable[..., int] = fit.main) -> Outcome:
        try:
            code = entry([*words])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        caught = capsys.readouterr()
        assert "Traceback" not in caught.out + caught.err
        return Outcome(code, caught.out, caught.err)

    return run


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run folder with results.json alone: drawing takes seconds."""
    encode = pipeline.encode_results
    monkeypatch.setattr(pipeline, "make_files", lambda analysis, results, **_: {"results.json": encode(results)})
    monkeypatch.setattr(pipeline, "draw_model", lambda analysis: None)


@pytest.fixture
def posts_csv(tmp_path: Path) -> Path:
    path = tmp_path / "spring.csv"
    simulate_posts(posts=120, creators=20, seed=2).frame.to_csv(path, index=False)
    return path


def read_results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return found


# --- a whole run ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory, approximate: Any) -> tuple[Path, str]:
    """The folder and the screen of one complete run of the bundled sample."""
    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "fit_model", approximate)
        patch.setenv("COLUMNS", "100")
        patch.chdir(place)
        screen = place / "screen.txt"
        with screen.open("w", encoding="utf-8") as file:
            patch.setattr(sys, "stdout", file)
            code = fit.main(["--seed", "20260101"])
        assert code == 0
    return place / "runs" / "posts", screen.read_text(encoding="utf-8")


def test_the_run_folder_is_whole(whole_run: tuple[Path, str]) -> None:
    folder, _ = whole_run
    manifest = verify_run(folder)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {*manifest["files"], "MANIFEST.json"}
    assert {"report.html", "results.json", "posterior.nc", "posterior_as_bought.nc", "spec.toml"} <= names
    assert any(name.startswith("plots/") and name.endswith(".png") for name in names)
    assert [path.name for path in folder.parent.iterdir()] == ["posts"], "no lock, no temporary folder"


def test_results_are_strict_json_and_fit_the_schema(whole_run: tuple[Path, str]) -> None:
    folder, _ = whole_run

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    results = json.loads((folder / "results.json").read_text(encoding="utf-8"), parse_constant=refuse)
    schema = json.loads(files("influbayes.reporting").joinpath("results.schema.json").read_text(encoding="utf-8"))
    assert list(Draft202012Validator(schema).iter_errors(results)) == []
    assert (results["schema_version"], results["study"]) == (1, "conversion")
    assert results["provenance"]["command"] == "influbayes fit --seed 20260101"
    assert results["data"]["rows_read"] == results["data"]["rows_used"] == 1500


def test_both_posteriors_load_and_answer_their_question(whole_run: tuple[Path, str]) -> None:
    folder, _ = whole_run
    results = read_results(folder)
    for record in results["fits"]:
        assert load_fit(folder / record["posterior_file"]).design.question == record["question"]


def test_the_screen_begins_with_sample_data_and_the_headline(whole_run: tuple[Path, str]) -> None:
    folder, screen = whole_run
    lines = [line for line in screen.splitlines() if line.strip() and not line.endswith("...")]
    assert lines[0] == "SAMPLE DATA: simulated posts that come with influbayes, not yours."
    assert lines[1].startswith(("CHECKS PASSED", "PARTLY WITHHELD"))
    flat = " ".join(screen.split())
    assert "conversion_creator, because " in flat
    assert flat.index("As bought") < flat.index("times the odds")
    assert "1,500 rows read, 1,500 used, 0 rejected" in flat
    assert str(folder / "report.html") in screen.replace("\n", "")
    assert "100 %)" not in screen.replace("per 100", "")
    assert "\x1b" not in screen
    assert "nan" not in flat.lower().split()


# --- exit codes and options -------------------------------------------------------------------------------------------


def test_default_folder_bears_the_name_of_the_file_then_a_number(
    call: Call, faked_engine: Any, no_pictures: None, posts_csv: Path, tmp_path: Path
) -> None:
    for name in ("spring", "spring-2", "spring-3"):
        outcome = call(str(posts_csv), *QUICK)
        assert outcome.code == 0, outcome.err
        verify_run(tmp_path / "runs" / name)
    assert "SAMPLE DATA" not in outcome.out


def test_a_taken_folder_is_code_5_before_anything_is_fitted(
    call: Call, faked_engine: list[Any], no_pictures: None, posts_csv: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    outcome = call(str(posts_csv), *QUICK, "--out", "taken")
    assert outcome.code == 5
    assert "exists. Choose another --out, or replace the run in it with --overwrite." in outcome.err
    foreign = call(str(posts_csv), *QUICK, "--out", "taken", "--overwrite")
    assert foreign.code == 5
    assert "is not replaced: it holds no influbayes run" in foreign.err
    assert (tmp_path / "taken" / "mine.txt").read_text() == "mine"
    assert not faked_engine


def test_overwrite_replaces_an_earlier_run(
    call: Call, faked_engine: Any, no_pictures: None, posts_csv: Path, tmp_path: Path
) -> None:
    assert call(str(posts_csv), *QUICK, "--out", "run").code == 0
    assert call(str(posts_csv), *QUICK, "--out", "run").code == 5
    assert call(str(posts_csv), *QUICK, "--out", "run", "--overwrite", "--seed", "7").code == 0
    assert read_results(tmp_path / "run")["provenance"]["seed"] == 7
    verify_run(tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "spring.csv"]


def test_quiet_prints_nothing(call: Call, faked_engine: Any, no_pictures: None, posts_csv: Path) -> None:
    assert call(str(posts_csv), *QUICK, "--quiet") == Outcome(0, "", "")


def test_options_reach_the_fit_and_the_results(
    call: Call, faked_engine: list[dict[str, Any]], no_pictures: None, tmp_path: Path
) -> None:
    frame = simulate_posts(posts=120, creators=20, seed=2).frame.rename(columns={"Swipe_Ups": "taps"})
    frame.to_csv(tmp_path / "mapped.csv", index=False)
    words = ["--map", "Swipe_Ups=taps", "--reference", "Influencer_Tier=Micro", "--prob", "0.8"]
    more = ["--model", "conversion", "--chains", "5", "--seed", "9", "--engine", "nuts", "--out", "run"]
    outcome = call("mapped.csv", *QUICK, *words, *more)
    assert outcome.code == 0, outcome.err
    asked = faked_engine[0]
    assert (asked["draws"], asked["chains"], asked["seed"], asked["engine"]) == (200, 5, 9, "nuts")
    results = read_results(tmp_path / "run")
    tiers = [row for row in results["effects"] if row["variable"] == "Influencer_Tier" and row["reference"]]
    compared = {(row["level"], row["reference"]) for row in tiers if row["estimand"] == "odds_ratio"}
    assert {("Mega", "Micro"), ("Mid", "Micro")} <= compared
    assert "Mega vs Micro" in outcome.out
    assert "Micro vs Mega" not in outcome.out
    assert {row["prob"] for row in results["effects"] if row["prob"] is not None} == {0.8}
    assert "80 % credible interval" in " ".join(outcome.out.split())
    assert "--model" in results["provenance"]["command"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--chains", "3"], "influbayes fit: 3 chains are too few to check convergence. Use --chains 4 or more.\n"),
        (["--draws", "50"], "influbayes fit: 50 draws a chain are too few. Use --draws 100 or more; 1000 is the"),
        (["--seed", "-4"], "influbayes fit: Seed -4 is negative. Use a whole number from 0.\n"),
        (["--prob", "1"], "influbayes fit: --prob 1: the mass of an interval lies between 0.5 and 0.999; 0.9 is the"),
        (["--prob", "nan"], "influbayes fit: --prob nan: the mass of an interval lies between 0.5 and 0.999; 0.9 is"),
        (["--reference", "Mega"], "influbayes fit: --reference 'Mega': write --reference Column=VALUE.\n"),
        (["--map", "=x"], "influbayes fit: --map '=x': write --map Column=VALUE.\n"),
        (
            ["--reference", "Tier=Mega"],
            "influbayes fit: --reference: 'Tier' is no factor with all levels in conversion",
        ),
        (["--engine", "gibbs"], "argument --engine: invalid choice: 'gibbs'"),
        (["--draws", "many"], "argument --draws: invalid int value: 'many'"),
        (["--frees", "x.csv"], "unrecognized arguments: --frees x.csv"),
    ],
)
def test_a_call_that_is_off_is_code_2_and_leaves_nothing(
    call: Call, faked_engine: list[Any], posts_csv: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    outcome = call(str(posts_csv), *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert list(tmp_path.iterdir()) == [posts_csv]
    assert not faked_engine


def fail_with(reason: BaseException) -> Callable[..., Any]:
    def fit_model(design: Any, **settings: Any) -> Any:
        raise reason

    return fit_model


def list_left(folder: Path) -> list[str]:
    """What lies in a folder beside the table and an empty runs/."""
    return sorted(p.name for p in folder.rglob("*") if p.name not in ("spring.csv", "runs"))


def test_everything_withheld_is_code_4_and_written(
    call: Call, approximate: Any, no_pictures: None, posts_csv: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    def stuck(design: Any, **settings: Any) -> Any:
        done = approximate(design, **settings)
        return replace(done, draws={**done.draws, "intercept": done.draws["intercept"] + np.arange(4.0)[:, None]})

    monkeypatch.setattr(pipeline, "fit_model", stuck)
    outcome = call(str(posts_csv), *QUICK, "--out", "run")
    assert outcome.code == 4
    results = read_results(tmp_path / "run")
    assert results["status"] == "withheld"
    assert "WITHHELD" in outcome.out
    assert "times the odds" not in outcome.out


def test_a_sampler_that_fails_is_code_4(call: Call, posts_csv: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(pipeline, "fit_model", fail_with(SamplingFailed("The sampler could not start: no point.")))
    outcome = call(str(posts_csv), *QUICK)
    assert (outcome.code, outcome.err) == (4, "influbayes fit: The sampler could not start: no point.\n")
    assert list_left(tmp_path) == []


def test_ctrl_c_is_code_130_and_leaves_nothing(call: Call, posts_csv: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(pipeline, "fit_model", fail_with(KeyboardInterrupt()))
    outcome = call(str(posts_csv), *QUICK)
    assert (outcome.code, outcome.err) == (130, "influbayes fit: interrupted, nothing written.\n")
    assert list_left(tmp_path) == []


def test_a_defect_is_code_1_with_a_log_and_no_traceback(
    call: Call, posts_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "fit_model", fail_with(ZeroDivisionError("tiers by nought")))
    outcome = call(str(posts_csv), *QUICK)
    assert outcome.code == 1
    start, _, log = outcome.err.strip().removesuffix(".").rpartition(" ")
    assert start == (
        "influbayes fit: a defect of influbayes, not of your data (ZeroDivisionError). Nothing is left half written. "
        "Please report it with"
    )
    text = Path(log).read_text(encoding="utf-8")
    assert "Traceback" in text
    assert "tiers by nought" in text
    Path(log).unlink()
    assert list_left(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_code_5(call: Call, faked_engine: list[Any], posts_csv: Path) -> None:
    outcome = call(str(posts_csv), *QUICK, "--out", str(posts_csv / "below a file"))
    assert outcome.code == 5
    assert "could not be" in outcome.err
    assert not faked_engine


def test_termination_is_like_ctrl_c(posts_csv: Path, tmp_path: Path) -> None:
    """In a process of its own: SIGTERM during the fit cleans up and ends with 130."""
    script = (
        "import sys, time\n"
        "from influbayes import fit, pipeline\n"
        "def wait(design, **settings):\n"
        "    print('FITTING', flush=True)\n"
        "    try:\n"
        "        time.sleep(60)\n"
        "    except Exception:\n"  # what a library may do with ordinary exceptions
        "        time.sleep(60)\n"
        "pipeline.fit_model = wait\n"
        "sys.exit(fit.main(sys.argv[1:]))\n"
    )
    words = [sys.executable, "-c", script, str(posts_csv), "--quiet", "--out", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "FITTING\n"
    assert (tmp_path / ".run.lock").exists()
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "influbayes fit: interrupted, nothing written.\n")
    assert time.monotonic() - start < 10
    assert [path.name for path in tmp_path.iterdir()] == ["spring.csv"]


def test_the_signal_handler_is_given_back(call: Call, faked_engine: Any, no_pictures: None, posts_csv: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert call(str(posts_csv), *QUICK, "--quiet").code == 0
    assert signal.getsignal(signal.SIGTERM) is before


# --- bad input --------------------------------------------------------------------------------------------------------

HEAD = "Creator_ID,Post_Date,Story_Views,Swipe_Ups,Influencer_Tier,Audience_Region,Fee,Converted"
CLEAN = [
    f"c{k % 6},2026-02-{1 + k % 27:02},{900 + 31 * k},{20 + 3 * (k % 9)},{('Mega', 'Mid', 'Micro')[k % 3]},"
    f"{('US', 'EU')[(k // 3) % 2]},{100 + k}.5,{(k // 2) % 2}"
    for k in range(36)
]


def spoil(column: str, value: str, *, row: int = 7) -> str:
    """The clean table with one cell changed."""
    rows = [line.split(",") for line in CLEAN]
    rows[row][HEAD.split(",").index(column)] = value
    return "\n".join([HEAD, *map(",".join, rows)]) + "\n"


def spoil_all(column: str, values: Callable[[int], str]) -> str:
    rows = [line.split(",") for line in CLEAN]
    for k, row in enumerate(rows):
        row[HEAD.split(",").index(column)] = values(k)
    return "\n".join([HEAD, *map(",".join, rows)]) + "\n"


def spoil_line(change: Callable[[str], str], *, row: int = 7) -> str:
    lines = [change(line) if k == row else line for k, line in enumerate(CLEAN)]
    return "\n".join([HEAD, *lines]) + "\n"


def zipped() -> bytes:
    import io

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("posts.csv", HEAD)
    return file.getvalue()


def total_row() -> str:
    columns = [[float(row.split(",")[k]) for row in CLEAN] for k in (2, 3, 7)]
    views, swipes, converted = (f"{sum(column):.0f}" for column in columns)
    return "\n".join([HEAD, *CLEAN, f"Total,,{views},{swipes},,,,{converted}"]) + "\n"


def same_day_other_tier() -> str:
    creator, day, *rest = CLEAN[0].split(",")
    rest[2] = "Nano"
    return "\n".join([HEAD, *CLEAN, ",".join([creator, day, *rest])]) + "\n"


FAULTS: dict[str, tuple[str, str | bytes]] = {
    "undecodable": ("IB-D02", spoil("Audience_Region", "U@S").encode().replace(b"@", b"\x81")),
    "control character": ("IB-D02", spoil("Audience_Region", "U\x1bS")),
    "other delimiter": ("IB-D03", spoil_line(lambda line: line.replace(",", ";"))),
    "trailing comma": ("IB-D04", spoil_line(lambda line: line + ",")),
    "ragged": ("IB-D05", spoil_line(lambda line: line.rpartition(",")[0])),
    "web page": ("IB-D06", "<!DOCTYPE html><html><body>Sign in</body></html>"),
    "PDF": ("IB-D06", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
    "NUL": ("IB-D06", spoil("Audience_Region", "U\x00S")),
    "empty": ("IB-D07", ""),
    "header only": ("IB-D07", HEAD + "\n"),
    "zip": ("IB-D0", zipped()),
    "gzip": ("IB-D0", b"\x1f\x8b\x08\x00" + b"\x00" * 30),
    "column missing": ("IB-D14", "\n".join([HEAD.replace("Swipe_Ups", "swipeups2"), *CLEAN])),
    "column twice": ("IB-D15", "\n".join([HEAD + ",Fee", *(line + ",1" for line in CLEAN)])),
    "column twice but for case": ("IB-D16", "\n".join([HEAD + ",FEE", *(line + ",1" for line in CLEAN)])),
    "thousand or decimal": ("IB-D18", spoil("Story_Views", "12.000")),
    "text": ("IB-D19", spoil("Swipe_Ups", "abc")),
    "outcome empty": ("IB-D21", spoil("Converted", "")),
    "number empty": ("IB-D22", spoil("Swipe_Ups", "")),
    "label empty": ("IB-D22", spoil("Influencer_Tier", "")),
    "outcome 1.5": ("IB-D23", spoil("Converted", "1.5")),
    "negative": ("IB-D24", spoil("Swipe_Ups", "-4")),
    "infinite": ("IB-D25", spoil("Story_Views", "1e400")),
    "id as count": ("IB-D26", spoil("Story_Views", "17841400000000001")),
    "total": ("IB-D30", total_row()),
    "no date": ("IB-D31", spoil("Post_Date", "2026-02-30")),
    "day or month": ("IB-D31", spoil_all("Post_Date", lambda k: f"{1 + k % 9:02}/{1 + k % 5:02}/2026")),
    "outcome 2": ("IB-D33", spoil("Converted", "2")),
    "percent": ("IB-D33", spoil("Converted", "50%")),
    "more swipes than views": ("IB-D34", spoil("Swipe_Ups", "999999")),
    "no such reference": ("IB-D37", spoil_all("Influencer_Tier", lambda k: ("Nano", "Mid", "Micro")[k % 3])),
    "two tiers on a day": ("IB-D38", same_day_other_tier()),
    "future": ("IB-D39", spoil("Post_Date", "2062-01-01")),
    "negative fee": ("IB-D40", spoil("Fee", "-10")),
    "other currency": ("IB-D40", spoil_all("Fee", lambda k: ("€" if k == 7 else "$") + "10")),
    "one tier": ("IB-F03", spoil_all("Influencer_Tier", lambda k: "Mega")),
    "nothing converted": ("IB-F04", spoil_all("Converted", lambda k: "0")),
}


def test_the_clean_table_is_fitted(call: Call, faked_engine: list[Any], no_pictures: None, tmp_path: Path) -> None:
    (tmp_path / "clean.csv").write_text("\n".join([HEAD, *CLEAN]) + "\n")
    outcome = call("clean.csv", *QUICK)
    assert outcome.code == 0, outcome.err
    assert faked_engine


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_input_is_code_3_in_words_and_leaves_nothing(
    call: Call, faked_engine: list[Any], tmp_path: Path, fault: str
) -> None:
    code, content = FAULTS[fault]
    (tmp_path / "bad.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    outcome = call("bad.csv", *QUICK)
    assert outcome.code == 3, outcome.out + outcome.err
    assert outcome.err.startswith("influbayes fit: IB-")
    assert code in outcome.err
    assert "bad.csv" in outcome.err
    assert outcome.err.rstrip().endswith("Nothing was fitted.")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]
    assert not faked_engine


def test_several_faults_are_said_at_once(call: Call, faked_engine: Any, tmp_path: Path) -> None:
    rows = spoil("Swipe_Ups", "-4").splitlines()
    rows[20] = spoil("Converted", "", row=19).splitlines()[20]
    (tmp_path / "bad.csv").write_text("\n".join(rows) + "\n")
    err = call("bad.csv").err
    assert "IB-D24" in err
    assert "IB-D21" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent.csv"], 'there is no file "absent.csv"'),
        (["--model", "convresion"], "no such file, and no shipped specification of that name. Did you mean conversion"),
        (["--model", "broken.toml"], "IB-F09 broken.toml"),
    ],
)
def test_absent_and_broken_files_are_code_3(
    call: Call, faked_engine: list[Any], tmp_path: Path, words: list[str], message: str
) -> None:
    (tmp_path / "broken.toml").write_text('title = "x"\nscale = -1\n')
    outcome = call(*words)
    assert outcome.code == 3
    assert message in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["broken.toml"]
    assert not faked_engine


# --- the console script -----------------------------------------------------------------------------------------------


def test_the_console_script_hands_on_to_its_entries(call: Call, faked_engine: Any) -> None:
    assert call("fit", "--chains", "3", entry=cli.main).code == 2
    assert call("fit", "absent.csv", entry=cli.main).code == 3
    unknown = call("fti", entry=cli.main)
    assert (unknown.code, unknown.err) == (
        2,
        f"influbayes: no command 'fti'. There are: {', '.join(cli.ENTRIES)}.\n",
    )


def test_the_console_script_says_what_there_is(call: Call) -> None:
    from influbayes import __version__

    bare, asked = call(entry=cli.main), call("--help", entry=cli.main)
    assert (bare.code, asked.code) == (2, 0)
    assert bare.out == asked.out
    assert asked.out.startswith("usage: influbayes COMMAND [OPTIONS]\n")
    assert all(name in asked.out for name in cli.ENTRIES)
    assert call("--version", entry=cli.main) == Outcome(0, f"influbayes {__version__}\n", "")


def test_help_names_every_option_and_exit_code(call: Call) -> None:
    outcome = call("--help")
    flat = " ".join(outcome.out.split())
    assert outcome.code == 0
    for option in ("--model", "--out", "--engine", "--draws", "--chains", "--seed", "--reference", "--prob", "--map"):
        assert option in flat
    assert "0 fine, 1 a defect of ours, 2 wrong call, 3 data or specification refused, 4 all conclusions" in flat
    assert "5 could not write, 130 interrupted" in flat
