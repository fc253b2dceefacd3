"""A run whose analysis is faked, and what must hold after every injected failure."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from influbayes import pipeline
from influbayes.hierarchy.spec import load_spec
from influbayes.pipeline import Settings, analyse_posts
from influbayes.reporting.results import collect_results, encode_results
from influbayes.reporting.run_folder import verify_run
from influbayes.tables.simulate import simulate_posts

sys.path.insert(0, str(Path(__file__).parent))  # faked_entry is no test

from faked_entry import fake_study

Check = Callable[..., None]


@pytest.fixture(scope="session")
def study_results(sixty_posts: Any, approximate: Any) -> dict[str, Any]:
    """The results of one study of sixty posts, from the stand-in for the sampler."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "fit_model", approximate)
        patch.setattr(pipeline, "_judge_priors", lambda averages, settings: ())
        analysis = analyse_posts(sixty_posts, load_spec("conversion"), settings=Settings(draws=200))
    return collect_results(analysis, created="2026-01-01T00:00:00+00:00")


@pytest.fixture(scope="session")
def results_file(study_results: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in a file, for runs in processes of their own."""
    path = tmp_path_factory.mktemp("study") / "results.json"
    path.write_bytes(encode_results(study_results))
    return path


@pytest.fixture
def posts_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sixty posts in an otherwise empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    path = tmp_path / "posts.csv"
    simulate_posts(posts=60, creators=15, seed=3).frame.to_csv(path, index=False)
    return path


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch, study_results: dict[str, Any]) -> dict[str, Any]:
    """The entry without its analysis; the files of the run may be changed through the dictionary."""
    results = json.loads(json.dumps(study_results))
    results["status"] = "ok"
    return fake_study(monkeypatch.setattr, results)


@pytest.fixture
def old_run(posts_csv: Path, faked: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> Path:
    """An earlier run in `run`, told by its seed 1."""
    from influbayes import fit

    assert fit.main([str(posts_csv), "--out", "run", "--seed", "1", "--quiet"]) == 0
    faked["seed"] = 2
    return posts_csv.parent / "run"


@pytest.fixture
def check_whole(tmp_path: Path) -> Check:
    """After a failure: the run in `run` is the one of that seed, or absent; nothing else lies about."""

    def check(*, seed: int | None, beside: tuple[str, ...] = ("posts.csv",)) -> None:
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {*beside, *([] if seed is None else ["run"])}
        if seed is not None:
            assert verify_run(tmp_path / "run")["seed"] == seed

    return check
