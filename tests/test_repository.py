"""Contracts of the whole repository: import directions, the wheel, start-up costs, what no file may hold."""

import hashlib
import importlib
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("pymc", "pytensor", "nutpie", "numba", "matplotlib", "pandas", "arviz", "arviz_stats", "scipy.optimize")
ALLOWED_HOSTS = {
    "www.apache.org",
    "doi.org",
    "arxiv.org",
    "json-schema.org",
    "www.w3.org",
    "example.org",
    "example.com",
}
# A host that starts with a brace is filled in at run time.
ADDRESS = re.compile(r"\b(?:https?|ftp|ssh|git\+\w+)://([^\s/\"'<>)\]`:{]+)")
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|home|Users)/[\w.-]+")
WORKSHOP = re.compile(r"\.\./shared|\b(?:design|engine|faults|apis|style|peers)\.md\b")
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"


def read_project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def list_files() -> list[Path]:
    """Return the files git knows or would add; skip where there is no git (an unpacked source archive)."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git and a git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip(f"git cannot list this checkout: {listed.stderr.strip()}")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def read_texts() -> dict[str, str]:
    texts = {}
    for path in list_files():
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            texts[path.relative_to(ROOT).as_posix()] = content.decode("utf-8")
    return texts


def find_foreign_hosts(text: str) -> list[str]:
    return [host for host in ADDRESS.findall(text) if host not in ALLOWED_HOSTS]


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


# --- code -------------------------------------------------------------------------------------------------------------


def test_import_contracts_hold() -> None:
    entry = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    result = run_python("-c", entry, "--no-cache")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def skip_without(module: str) -> None:
    if find_spec(module) is None:
        pytest.skip(f"{module} is not there yet")


def list_heavy_modules(action: str) -> str:
    """Return what of HEAVY is loaded after `action`, in a fresh process."""
    code = f"import sys\n{action}\nprint('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    result = run_python("-c", code)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "module", ["influbayes", "influbayes.attribute", "influbayes.cli", "influbayes.fit", "influbayes.simulate"]
)
def test_importing_the_entries_loads_nothing_heavy(module: str) -> None:
    skip_without(module)
    assert list_heavy_modules(f"import {module}") == "LOADED []"


@pytest.mark.parametrize("entry", ["python -m influbayes.fit", "python -m influbayes.attribute", "influbayes"])
def test_help_appears_within_a_second(entry: str) -> None:
    skip_without("influbayes.cli")
    script = ["-c", "import sys; from influbayes.cli import main; sys.exit(main())"]
    start_with = entry.split()[1:] or script
    durations: list[float] = []
    # The fastest of three counts, so that a busy machine does not fail the promise.
    for _ in range(3):
        start = time.perf_counter()
        result = run_python(*start_with, "--help")
        durations.append(time.perf_counter() - start)
        assert result.returncode == 0, result.stderr
        assert "usage" in result.stdout.lower()
    assert min(durations) < 1.0


@pytest.mark.parametrize("entry", ["fit", "attribute"])
def test_help_loads_nothing_heavy(entry: str) -> None:
    skip_without(f"influbayes.{entry}")
    action = (
        f"import runpy\nsys.argv = [{entry!r}, '--help']\n"
        f"try:\n    runpy.run_module('influbayes.{entry}', run_name='__main__')\nexcept SystemExit:\n    pass"
    )
    assert list_heavy_modules(action) == "LOADED []"


# --- what is shipped --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("package", "folder", "needed"), [("models", "models", "*.toml"), ("data", "data", "*.csv")])
def test_package_data_is_found_through_importlib_resources(package: str, folder: str, needed: str) -> None:
    shipped = [path for path in (ROOT / folder).glob("*") if path.is_file() and path.suffix != ".py"]
    assert [path for path in shipped if path.match(needed)], f"{folder}/ holds no {needed}"
    for path in shipped:
        found = resources.files(f"influbayes.{package}") / path.name
        assert found.read_bytes() == path.read_bytes()


def test_the_wheel_holds_every_module_and_data_file(tmp_path: Path) -> None:
    for name in ("src", "data", "models"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('dist'))"
    result = subprocess.run(
        [sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr
    held = set(zipfile.ZipFile(tmp_path / "dist" / result.stdout.splitlines()[-1]).namelist())
    expected = {path.relative_to(tmp_path / "src").as_posix() for path in walk_files(tmp_path / "src")}
    for name in ("data", "models"):
        expected |= {f"influbayes/{path.relative_to(tmp_path).as_posix()}" for path in walk_files(tmp_path / name)}
    assert expected - held == set()
    assert not [name for name in held if name.startswith(("tests/", "benchmarks/", "notebooks/"))]


def walk_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "egg-info" not in path.as_posix()]


def test_the_version_is_the_same_everywhere() -> None:
    version = read_project()["project"]["version"]
    package = importlib.import_module("influbayes")
    assert getattr(package, "__version__", version) == version
    changelog = ROOT / "CHANGELOG.md"
    assert not changelog.exists() or version in changelog.read_text(encoding="utf-8")


def test_the_licence_is_the_unchanged_apache_text() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2
    assert read_project()["project"]["license"] == "Apache-2.0"


# --- what is installed ------------------------------------------------------------------------------------------------


def read_constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line.strip() and not line.startswith("#")]
    wrong = [line for line in pins if not re.fullmatch(r"[a-z0-9.-]+==[0-9][a-z0-9.+!]*", line)]
    assert wrong == [], "constraints.txt holds versions only"
    return dict(line.split("==") for line in pins)


def test_constraints_pin_every_direct_requirement_within_its_bounds() -> None:
    project, pins = read_project()["project"], read_constraints()
    direct = [Requirement(text) for text in project["dependencies"]]
    direct += [Requirement(text) for texts in project["optional-dependencies"].values() for text in texts]
    for requirement in direct:
        if requirement.name == project["name"]:
            continue  # one extra that holds another
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement} against {version}"


def test_constraints_are_sorted_and_name_no_package_twice() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    names = [line.split("==")[0] for line in lines if not line.startswith("#")]
    assert names == sorted(set(names))


def test_the_python_version_is_the_same_everywhere() -> None:
    wanted = (ROOT / ".python-version").read_text(encoding="utf-8").strip()
    project = read_project()
    assert project["project"]["requires-python"] == f">={wanted}"
    assert project["tool"]["mypy"]["python_version"] == wanted
    assert f"Python {wanted} or newer" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_build_system_is_pinned_to_the_version_installed_anyway() -> None:
    assert read_project()["build-system"]["requires"] == [f"setuptools=={read_constraints()['setuptools']}"]


# --- what no file may hold --------------------------------------------------------------------------------------------


def test_the_scanner_finds_what_it_must_find() -> None:
    registry, folder = "://".join(["https", "pypi.org/simple"]), "/".join(["", "work", "main"])
    assert find_foreign_hosts(f"index-url = {registry}") == ["pypi.org"]
    assert find_foreign_hosts("https://doi.org/10.1000/1 https://{host}/x") == []
    assert MACHINE_PATH.search(f"see {folder}")
    assert not MACHINE_PATH.search("src/work/main and a/root/b")


def test_no_file_names_a_registry_or_an_unknown_host() -> None:
    found = {name: hosts for name, text in read_texts().items() if (hosts := find_foreign_hosts(text))}
    assert found == {}, "add a host to ALLOWED_HOSTS only if a reader needs it"


def test_no_file_holds_a_path_of_one_machine() -> None:
    found = {name: match.group() for name, text in read_texts().items() if (match := MACHINE_PATH.search(text))}
    assert found == {}


def test_the_product_points_to_no_document_outside_the_repository() -> None:
    product = ("src/", "models/", "data/", "README.md", "ARCHITECTURE.md", "CHANGELOG.md", "Makefile")
    texts = {name: text for name, text in read_texts().items() if name.startswith(product)}
    found = {name: match.group() for name, text in texts.items() if (match := WORKSHOP.search(text))}
    assert found == {}


def test_runs_and_caches_are_not_under_version_control() -> None:
    names = [path.relative_to(ROOT).parts[0] for path in list_files()]
    assert {"runs", ".venv", ".cache", "build", "dist"}.isdisjoint(names)


def test_the_ci_command_is_executable_and_calls_make_test() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert lines[-1] == "make test"
