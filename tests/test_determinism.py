"""Same table, seed and versions give the same numbers, whatever the order, format, threads, hash seed or locale.

The exact engine on small tables; compared are results.json but for times and names of files, and every draw.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from influbayes import pipeline
from influbayes.hierarchy.spec import load_spec
from influbayes.pipeline import Settings, analyse_posts
from influbayes.reporting.results import collect_results
from influbayes.tables.export import export_table
from influbayes.tables.reader import read_posts
from influbayes.tables.simulate import simulate_posts

Numbers = dict[str, Any]

# One process that fits a table twice: with cold caches, then with warm ones.
PROGRAM = """
import hashlib, json, locale, os, sys
locale.setlocale(locale.LC_ALL, "")
if os.environ.get("ONE_CORE"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
from influbayes.hierarchy.spec import load_spec
from influbayes.pipeline import Settings, analyse_posts
from influbayes.reporting.results import collect_results, encode_results
from influbayes.tables.reader import read_posts

def fit():
    analysis = analyse_posts(
        read_posts(sys.argv[1]), load_spec("conversion"), settings=Settings(engine="laplace", draws=int(sys.argv[2]))
    )
    results = collect_results(analysis, created="now")
    results["engine"]["seconds"] = 0
    for record in results["fits"]:
        record["engine"]["seconds"] = 0
    digest = hashlib.sha256(encode_results(results))
    for question in analysis.questions:
        for name, values in question.fit.draws.items():
            digest.update(name.encode() + values.tobytes())
    return digest.hexdigest()

print(json.dumps([fit(), fit()]))
"""


def read_numbers(path: str | Path) -> Numbers:
    """The numbers of a study of a file: results without times and file names, and digests of the draws."""
    with pytest.MonkeyPatch.context() as patch:
        # The processes below fit with changed priors too; here it would only take long.
        patch.setattr(pipeline, "_judge_priors", lambda averages, settings: ())
        posts = read_posts(path)
        analysis = analyse_posts(
            posts, load_spec("conversion"), settings=Settings(engine="laplace", draws=200), choice="asked for"
        )
    results = collect_results(analysis, created="now")
    results["engine"]["seconds"] = 0
    for record in results["fits"]:
        record["engine"]["seconds"] = 0
    for name in ("file", "format", "warnings", "accepted", "notices"):
        results["data"].pop(name, None)
    draws = {
        f"{question.fit.design.question} {name}": hashlib.sha256(values.tobytes()).hexdigest()
        for question in analysis.questions
        for name, values in question.fit.draws.items()
    }
    return {"results": json.loads(json.dumps(results)), "draws": draws}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Posts with labels that sort differently by locale: Turkish i without a dot, German umlauts."""
    table = simulate_posts(posts=60, creators=15, seed=3).frame
    others = sorted(set(table["Audience_Region"]) - {"US"})
    regions = dict(zip(others, ("Iğdır", "istanbul", "Österreich", "Zürich"), strict=False))
    return table.assign(Audience_Region=table["Audience_Region"].replace(regions))


@pytest.fixture(scope="module")
def as_written(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Numbers:
    return read_numbers(write_csv(frame, tmp_path_factory.mktemp("base")))


def write_csv(frame: pd.DataFrame, folder: Path) -> Path:
    return write_text(frame.to_csv(index=False), folder)


def write_text(text: str, folder: Path, *, name: str = "posts.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def write_sql(frame: pd.DataFrame, folder: Path) -> str:
    database = folder / "posts.sqlite"
    connection = sqlite3.connect(database)
    frame.to_sql("posts", connection, index=False)
    connection.close()
    return f"sql:{database}::SELECT * FROM posts"


def write_parquet(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "posts.parquet"
    frame.to_parquet(path, index=False)
    return path


VARIANTS: dict[str, Callable[[pd.DataFrame, Path], str | Path]] = {
    "a second time": write_csv,
    "rows shuffled": lambda frame, at: write_csv(frame.sample(frac=1, random_state=1), at),
    "rows reversed": lambda frame, at: write_csv(frame[::-1], at),
    "columns reversed": lambda frame, at: write_csv(frame[frame.columns[::-1]], at),
    "TSV": lambda frame, at: write_text(frame.to_csv(index=False, sep="\t"), at, name="posts.tsv"),
    "semicolons": lambda frame, at: write_text(frame.to_csv(index=False, sep=";"), at),
    "byte-order mark": lambda frame, at: write_text(frame.to_csv(index=False), at, encoding="utf-8-sig"),
    "UTF-16": lambda frame, at: write_text(frame.to_csv(index=False), at, encoding="utf-16"),
    "CRLF": lambda frame, at: write_text(frame.to_csv(index=False).replace("\n", "\r\n"), at),
    "Parquet": write_parquet,
    "XLSX": lambda frame, at: export_table(frame, at / "posts.xlsx"),
    "SQL": write_sql,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_posts_give_the_same_numbers(
    variant: str, frame: pd.DataFrame, as_written: Numbers, tmp_path: Path
) -> None:
    found = read_numbers(VARIANTS[variant](frame, tmp_path))
    assert found["draws"] == as_written["draws"]
    for part, expected in as_written["results"].items():
        assert found["results"][part] == expected, part


def test_another_seed_gives_other_numbers(as_written: Numbers, frame: pd.DataFrame, tmp_path: Path) -> None:
    """So that the comparison above could fail."""
    changed = frame.copy()
    changed.loc[0, "Converted"] = 1 - changed.loc[0, "Converted"]
    found = read_numbers(write_csv(changed, tmp_path))
    assert all(found["draws"][name] != digest for name, digest in as_written["draws"].items())


# --- processes -------------------------------------------------------------------------------------------------------

SURROUNDINGS: dict[str, dict[str, str]] = {
    "one thread": {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONHASHSEED": "0"},
    "two threads": {"OMP_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2", "PYTHONHASHSEED": "1"},
    "one core": {"ONE_CORE": "1", "PYTHONHASHSEED": "2"},
}
LOCALES = ("de_DE.UTF-8", "tr_TR.UTF-8")


def start_process(path: Path, changes: dict[str, str], *, draws: int = 200) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment = {**kept, "PYTHONPATH": os.pathsep.join(sys.path), "LC_ALL": "C.UTF-8", **changes}
    words = [sys.executable, "-c", PROGRAM, str(path), str(draws)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def collect_digests(processes: list[subprocess.Popen[str]]) -> list[str]:
    digests = []
    for process in processes:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        digests += json.loads(out)
    return digests


@pytest.fixture(scope="module")
def large_csv(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough rows and a name that holds a locale's letters."""
    return write_text(frame.to_csv(index=False), tmp_path_factory.mktemp("large"), name="İstanbul.csv")


@pytest.fixture(scope="module")
def usual_digests(large_csv: Path) -> list[str]:
    return collect_digests([start_process(large_csv, SURROUNDINGS["one thread"])])


def test_a_warm_start_gives_the_numbers_of_a_cold_one(usual_digests: list[str]) -> None:
    cold, warm = usual_digests
    assert cold == warm


@pytest.mark.parametrize("surrounding", [name for name in SURROUNDINGS if name != "one thread"])
def test_threads_cores_and_hash_seed_do_not_matter(surrounding: str, large_csv: Path, usual_digests: list[str]) -> None:
    assert set(collect_digests([start_process(large_csv, SURROUNDINGS[surrounding])])) == set(usual_digests)


@pytest.fixture(scope="module")
def installed_locales() -> set[str]:
    listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout
    return {name.lower().replace("-", "") for name in listed.split()}


@pytest.mark.parametrize("name", LOCALES)
def test_the_locale_does_not_matter(
    name: str, large_csv: Path, usual_digests: list[str], installed_locales: set[str], tmp_path: Path
) -> None:
    changes = {"LC_ALL": name, "LANG": name}
    if name.lower().replace("-", "") not in installed_locales:
        changes["LOCPATH"] = str(compile_locale(name, tmp_path))
    assert set(collect_digests([start_process(large_csv, changes)])) == set(usual_digests)


def compile_locale(name: str, folder: Path) -> Path:
    """Compile a locale into a folder of its own, where the system has the sources; else skip."""
    language = name.partition(".")[0]
    words = ["localedef", "-i", language, "-f", "UTF-8", str(folder / name)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"the locale {name} is not installed, and there is no localedef")
    if not (folder / name / "LC_CTYPE").exists():
        pytest.skip(f"the locale {name} is not installed and cannot be compiled: {done.stderr[-200:]}")
    return folder


@pytest.mark.slow
def test_the_bundled_sample_gives_the_same_numbers_with_one_and_two_threads() -> None:
    """1,500 rows are cut into blocks for the threads; here priors are changed too."""
    from importlib.resources import as_file, files

    with as_file(files("influbayes.data").joinpath("posts.csv")) as path:
        started = [start_process(path, changes, draws=500) for changes in SURROUNDINGS.values()]
        assert len(set(collect_digests(started))) == 1
