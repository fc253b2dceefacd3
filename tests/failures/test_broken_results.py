"""A run that is not whole is never taken for one: files cut short, changed, missing or of a later version."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from influbayes.errors import IncompleteRun
from influbayes.hierarchy.posterior import load_fit, save_fit
from influbayes.reporting.results import encode_results, list_facts, read_results
from influbayes.reporting.run_folder import MANIFEST, publish_run, reserve_run, verify_run

FILES = ("results.json", "report.html", "spec.toml", "posterior.nc", "plots/forest.png")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, study_results: dict[str, Any], small_fit: Any) -> Path:
    """A run with real results and real draws."""
    files: dict[str, Any] = {
        "results.json": encode_results(study_results),
        "report.html": b"<!DOCTYPE html><p>report</p>",
        "spec.toml": b'title = "x"\n',
        "posterior.nc": lambda path: save_fit(small_fit, path),
        "plots/forest.png": b"\x89PNG picture",
    }
    with reserve_run(tmp_path_factory.mktemp("whole") / "run") as place:
        return publish_run(place, files, facts=list_facts(study_results))


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def cut_to_nothing(path: Path) -> None:
    path.write_bytes(b"")


def change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def remove(path: Path) -> None:
    path.unlink()


def replace_by_link(path: Path) -> None:
    aside = path.rename(path.with_name("aside"))
    path.symlink_to(aside)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = (cut_short, cut_to_nothing, change, remove, replace_by_link, replace_by_folder)


def test_an_undamaged_run_is_whole(run: Path) -> None:
    assert set(verify_run(run)["files"]) == set(FILES)
    read_results(run / "results.json")
    load_fit(run / "posterior.nc")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named(run: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(run / name)
    with pytest.raises(IncompleteRun, match=f"{name}: (incomplete|changed)") as caught:
        verify_run(run)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("damage", [cut_short, cut_to_nothing, remove, replace_by_folder])
def test_a_damaged_manifest_is_no_manifest(run: Path, damage: Callable[[Path], None]) -> None:
    damage(run / MANIFEST)
    if damage is cut_short:  # the line end is no loss; one more is
        damage(run / MANIFEST)
    with pytest.raises(IncompleteRun, match="no readable MANIFEST"):
        verify_run(run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"manifest_version": 2}, "written by a newer influbayes"),
        ({"manifest_version": "1"}, "not of influbayes"),
        ({"made_by": "someone else"}, "not of influbayes"),
        ({"files": None}, "not of influbayes"),
        ({"files": {"results.json": 3}}, "not of influbayes"),
        ({"files": {"../posts.csv": {"bytes": 1, "sha256": "0"}}}, "the file is missing"),
        ({"files": {"results.json": {}}}, "incomplete, "),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(run: Path, changes: dict[str, Any], message: str) -> None:
    path = run / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(IncompleteRun, match=message):
        verify_run(run)


@pytest.mark.parametrize("content", ["[]", "null", "3", '"x"', "{}"])
def test_a_foreign_manifest_is_refused(run: Path, content: str) -> None:
    (run / MANIFEST).write_text(content)
    with pytest.raises(IncompleteRun, match="not of influbayes"):
        verify_run(run)


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: None], ids=["empty folder", "file", "nothing"])
def test_what_is_no_run_folder_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "other")
    with pytest.raises(IncompleteRun, match="no readable MANIFEST"):
        verify_run(tmp_path / "other")


# --- files that are what the manifest says, and still no results -----------------------------------------------------


def sign_again(run: Path, name: str) -> None:
    """Let the manifest agree with a file, as a faulty writer would."""
    manifest, content = json.loads((run / MANIFEST).read_text()), (run / name).read_bytes()
    manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (run / MANIFEST).write_text(json.dumps(manifest))
    verify_run(run)


@pytest.mark.parametrize("changes", [{"schema_version": 2}, {"status": "fine"}, {"effects": None}, {"more": 1}])
def test_results_of_another_schema_are_refused(run: Path, changes: dict[str, Any]) -> None:
    path = run / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    sign_again(run, "results.json")
    with pytest.raises(IncompleteRun, match=r"results\.json of version 1"):
        read_results(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_draws_cut_short_are_refused(run: Path, share: float) -> None:
    path = run / "posterior.nc"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    sign_again(run, "posterior.nc")
    with pytest.raises(IncompleteRun, match="not a saved fit"):
        load_fit(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_draws_that_are_not_finite_are_refused(run: Path, value: float) -> None:
    import netCDF4

    with netCDF4.Dataset(run / "posterior.nc", "a") as file:
        file["posterior"]["slope"][1, 7, 0] = value
    sign_again(run, "posterior.nc")
    with pytest.raises(IncompleteRun, match="draws of slope are not finite"):
        load_fit(run / "posterior.nc")
