"""The Makefile with fake interpreters: what it starts, in which order, what it says. No network, no real install."""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("sh", "make", "awk", "find", "ls", "cat", "rm", "mkdir", "touch", "cp", "chmod", "uname", "env", "ln")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

# Stands in for .venv/bin/python: writes down what it was asked, and fails where the test wants it to.
VENV_PYTHON = """#!/bin/sh
printf '%s\\n' "$*" >> "$FAKE_LOG"
case "$*" in
  *"import pip"*) [ ! -f .venv/packages-gone ] ;;
  *"-m pip install"*)
    env > "$FAKE_STATE/install-environment"
    if [ -f "$FAKE_STATE/install-fails" ]; then echo "ERROR: no network" >&2; exit 1; fi
    touch .venv/installed-package ;;
  *"-m influbayes.fit"*)
    env > "$FAKE_STATE/fit-environment"
    for argument in "$@"; do printf '[%s]\\n' "$argument"; done
    if [ -f "$FAKE_STATE/report" ]; then mkdir -p "runs/two words"; touch "runs/two words/report.html"; fi
    exit "$(cat "$FAKE_STATE/fit-code" 2>/dev/null || echo 0)" ;;
  *"-m pytest"*)
    env > "$FAKE_STATE/test-environment"
    exit "$(cat "$FAKE_STATE/test-code" 2>/dev/null || echo 0)" ;;
esac
"""

# Stands in for a Python on PATH. The probe of the Makefile is run by the real interpreter, under the version pretended.
SYSTEM_PYTHON = """#!/bin/sh
printf '%s\\n' "SYSTEM $0 $1 $2" >> "$FAKE_LOG"
if [ "$1" = -c ]; then exec '{real}' -S -c '{pretence}
exec(sys.argv[1])' "$2"; fi
mkdir -p .venv/bin && cp "$FAKE_STATE/venv-python" .venv/bin/python && chmod +x .venv/bin/python
"""
FAILING_SHIM = """#!/bin/sh
echo "pyenv: command not found" >&2
exit 127
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A copy of the Makefile in its own folder, with its own PATH."""

    folder: Path
    programs: Path
    state: Path

    def add_python(self, name: str, *, version: str = "3.12.9", lacks: str | None = None) -> None:
        pretence = f"import sys; sys.version_info = ({', '.join(version.split('.'))})"
        if lacks:
            pretence += f'; sys.modules["{lacks}"] = None'
        self.add_program(name, SYSTEM_PYTHON.format(real=sys.executable, pretence=pretence))

    def add_program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text, encoding="utf-8")
        (self.programs / name).chmod(0o755)

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run("make", *arguments, **environment)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {"PATH": str(self.programs), "FAKE_STATE": str(self.state), "FAKE_LOG": str(self.state / "log")}
        return subprocess.run(
            command,
            cwd=self.folder,
            env=clean | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def set_state(self, name: str, text: str = "") -> None:
        (self.state / name).write_text(text, encoding="utf-8")

    def read_log(self) -> list[str]:
        return (self.state / "log").read_text(encoding="utf-8").splitlines()

    def count_installs(self) -> int:
        return sum("-m pip install" in line for line in self.read_log())

    def count_venvs(self) -> int:
        return sum(line.startswith("SYSTEM") and line.endswith("-m venv") for line in self.read_log())

    def read_environment(self, step: str) -> dict[str, str]:
        lines = (self.state / f"{step}-environment").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def build_checkout(folder: Path, state: Path) -> Checkout:
    programs = state / "programs"
    for place in (folder, programs):
        place.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder / name)
    for tool in TOOLS:
        (programs / tool).symlink_to(str(shutil.which(tool)))
    checkout = Checkout(folder=folder, programs=programs, state=state)
    checkout.set_state("venv-python", VENV_PYTHON)
    checkout.set_state("log")
    return checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return build_checkout(tmp_path / "checkout", tmp_path / "state")


def test_help_is_the_default_and_has_one_line_for_each_target(checkout: Checkout) -> None:
    plain, asked = checkout.make(), checkout.make("help")
    assert plain.returncode == asked.returncode == 0
    assert plain.stdout == asked.stdout
    names = [line.split()[1] for line in plain.stdout.splitlines()]
    assert names == ["help", "fit", "dashboard", "test", "test-all", "check", "bench", "clean"]
    assert checkout.read_log() == [], "help starts no Python"


def test_an_interpreter_that_runs_is_preferred_to_a_shim_that_fails(checkout: Checkout) -> None:
    checkout.add_program("python3.12", FAILING_SHIM)
    checkout.add_python("python3", version="3.13.1")
    result = checkout.make("fit")
    assert result.returncode == 0, result.stderr
    assert "Making .venv with python3 (3.13.1)." in result.stdout
    assert "command not found" not in result.stdout + result.stderr


def test_the_order_is_python_variable_then_312_then_python3_then_python(checkout: Checkout) -> None:
    for name in ("python", "python3", "python3.12", "chosen by hand"):
        checkout.add_python(name)
        checkout.make("clean")
        chosen = {"PYTHON": str(checkout.programs / name)} if " " in name else {}
        assert f"{name} (3.12.9)." in checkout.make("fit", **chosen).stdout
    checkout.make("clean")
    assert "with python (" in checkout.make("fit", "PYTHON=python").stdout, "on the command line of make"


def test_without_a_usable_python_one_line_says_what_is_needed_and_what_was_found(checkout: Checkout) -> None:
    checkout.add_program("python3.12", FAILING_SHIM)
    checkout.add_python("python3", version="3.10.4")
    checkout.add_python("python", lacks="ensurepip")
    result = checkout.make("fit", PYTHON="/nowhere/python")
    said = [line for line in result.stderr.splitlines() if "***" not in line]
    assert result.returncode != 0
    assert len(said) == 1
    assert "needs Python 3.12 or newer with venv and ensurepip" in said[0]
    assert "PYTHON=/path/to/python" in said[0]
    assert "/nowhere/python: not there, python3.12: does not run, python3: 3.10.4" in said[0]
    assert said[0].endswith("without venv or ensurepip.")
    assert not (checkout.folder / ".venv").exists()


def test_a_second_run_does_not_install_again(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    assert [checkout.make("fit").returncode for _ in range(3)] == [0, 0, 0]
    assert checkout.make("test").returncode == 0
    assert (checkout.count_venvs(), checkout.count_installs()) == (1, 1)
    assert [line.endswith("-c constraints.txt -e .[test]") for line in checkout.read_log() if "-m pip" in line] == [
        True
    ]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_install_into_the_same_venv(checkout: Checkout, name: str) -> None:
    checkout.add_python("python3.12")
    checkout.make("fit")
    stamp = (checkout.folder / ".venv/.installed").stat().st_mtime
    os.utime(checkout.folder / name, (stamp + 5, stamp + 5))
    checkout.make("fit")
    assert (checkout.count_venvs(), checkout.count_installs()) == (1, 2)


def test_a_failed_install_leaves_no_stamp_and_the_next_run_starts_afresh(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    checkout.set_state("install-fails")
    failed = checkout.make("fit")
    assert failed.returncode != 0
    assert "ERROR: no network" in failed.stderr
    assert "the installation failed" in failed.stdout
    assert not any("influbayes.fit" in line for line in checkout.read_log())
    (checkout.state / "install-fails").unlink()
    (checkout.folder / ".venv/leftover").touch()
    assert checkout.make("fit").returncode == 0
    assert not (checkout.folder / ".venv/leftover").exists()
    assert checkout.count_venvs() == 2


def test_an_update_that_fails_withdraws_the_stamp(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    checkout.make("fit")
    checkout.set_state("install-fails")
    stamp = checkout.folder / ".venv/.installed"
    os.utime(checkout.folder / "pyproject.toml", (stamp.stat().st_mtime + 5,) * 2)
    assert checkout.make("fit").returncode != 0
    assert not stamp.exists()


@pytest.mark.parametrize("harm", ["no stamp", "no interpreter", "interpreter fails", "packages-gone", "only a folder"])
def test_a_half_made_venv_is_made_anew(checkout: Checkout, harm: str) -> None:
    checkout.add_python("python3.12")
    checkout.make("fit")
    venv = checkout.folder / ".venv"
    if harm == "no stamp":
        (venv / ".installed").unlink()
    elif harm == "packages-gone":  # as when python3 became 3.13 and looks into lib/python3.13
        (venv / harm).touch()
    elif harm == "no interpreter":
        (venv / "bin/python").unlink()
    elif harm == "interpreter fails":
        (venv / "bin/python").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    else:
        shutil.rmtree(venv)
        venv.mkdir()
    (venv / "leftover").touch()
    assert checkout.make("fit").returncode == 0
    assert not (venv / "leftover").exists()
    assert (checkout.count_venvs(), checkout.count_installs()) == (2, 2)


def test_a_moved_checkout_gets_a_venv_of_its_own(checkout: Checkout, tmp_path: Path) -> None:
    checkout.add_python("python3.12")
    checkout.make("fit")
    moved = Checkout(folder=tmp_path / "moved", programs=checkout.programs, state=checkout.state)
    checkout.folder.rename(moved.folder)
    assert moved.make("fit").returncode == 0
    assert moved.count_venvs() == 2
    assert (moved.folder / ".venv/.installed").read_text(encoding="utf-8") == f"{moved.folder.resolve()}\n"


@pytest.mark.parametrize("name", ["two words", 'a, b = "c" \\ $d'])
def test_the_path_may_hold_blanks_and_other_characters(tmp_path: Path, name: str) -> None:
    checkout = build_checkout(tmp_path / name, tmp_path / "state")
    checkout.add_python("python3.12")
    assert [checkout.make("fit").returncode for _ in range(2)] == [0, 0]
    assert checkout.count_installs() == 1
    environment = checkout.read_environment("fit")
    assert environment["NUMBA_CACHE_DIR"] == f"{checkout.folder}/.cache/numba"
    assert environment["MPLCONFIGDIR"] == f"{checkout.folder}/.cache/matplotlib"
    assert split_pytensor_flags(environment) == [f"base_compiledir={checkout.folder}/.cache/pytensor"]


def test_pytensor_flags_of_the_user_are_kept_and_win(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    checkout.make("fit", PYTENSOR_FLAGS="floatX=float64,cxx=")
    expected = [f"base_compiledir={checkout.folder}/.cache/pytensor", "floatX=float64", "cxx="]
    assert split_pytensor_flags(checkout.read_environment("fit")) == expected


def split_pytensor_flags(environment: dict[str, str]) -> list[str]:
    """Split as ``pytensor.configparser.parse_config_string`` does (importing it costs seconds)."""
    splitter = shlex.shlex(environment["PYTENSOR_FLAGS"], posix=True)
    splitter.whitespace = ","
    splitter.whitespace_split = True
    return list(splitter)


def test_another_active_environment_does_not_leak_in(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    foreign = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PYTHONWARNINGS")
    result = checkout.make("fit", PIP_USER="1", **dict.fromkeys(foreign, "/other/environment"))
    assert result.returncode == 0, result.stderr
    for step in ("install", "fit"):
        environment = checkout.read_environment(step)
        assert [name for name in foreign if name in environment] == []
        assert environment["PIP_USER"] == "0"
        assert environment["PYTHONNOUSERSITE"] == "1"


def test_withheld_conclusions_do_not_look_like_a_crash(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    checkout.set_state("fit-code", "4")
    result = checkout.make("fit")
    assert result.returncode == 0
    assert "make fit: finished; the tool withheld its conclusions (exit code 4)." in result.stdout
    assert "***" not in result.stderr


SAID = {"1": "a defect of the tool", "2": "does not understand", "3": "was refused", "5": "could not be written"}


@pytest.mark.parametrize(("code", "words"), (SAID | {"130": "interrupted", "77": "ended unexpectedly"}).items())
def test_other_exit_codes_fail_with_a_plain_line(checkout: Checkout, code: str, words: str) -> None:
    checkout.add_python("python3.12")
    checkout.set_state("fit-code", code)
    result = checkout.make("fit")
    assert result.returncode != 0
    line = next(line for line in result.stdout.splitlines() if line.startswith("make fit:"))
    assert words in line
    assert f"(exit code {code})" in line


def test_posts_and_arguments_reach_the_tool_whole(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    result = checkout.make("fit", "POSTS=my posts.csv", "ARGS=--engine nuts --out 'my runs/a'")
    passed = [line for line in result.stdout.splitlines() if line.startswith("[")]
    assert passed == ["[-m]", "[influbayes.fit]", "[my posts.csv]", "[--engine]", "[nuts]", "[--out]", "[my runs/a]"]
    assert "[influbayes.fit]\n[" not in checkout.make("fit").stdout, "no POSTS: no argument at all"


def test_the_new_report_is_named_and_an_old_one_is_not(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    old = checkout.folder / "runs/old"
    old.mkdir(parents=True)
    (old / "report.html").touch()
    os.utime(old / "report.html", (1, 1))
    checkout.set_state("report")
    said = checkout.make("fit").stdout
    assert "Report: runs/two words/report.html" in said
    assert 'open "runs/two words/report.html"' in said
    assert "runs/old" not in said


def test_the_first_compile_is_announced_only_while_the_cache_is_cold(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    warning = "compiling takes up to a minute"
    assert warning in checkout.make("fit").stdout
    compiled = checkout.folder / ".cache/numba"
    compiled.mkdir(parents=True)
    assert warning in checkout.make("fit").stdout
    (compiled / "kernels.nbi").touch()
    assert warning not in checkout.make("fit").stdout


def test_tests_run_on_two_workers_with_one_thread_each(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    result = checkout.make("test")
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == "make test: all passed"
    runs = [line for line in checkout.read_log() if "-m pytest" in line]
    assert runs == ["-m pytest -q --durations=10 -n 2 --dist loadgroup -m not slow"]
    environment = checkout.read_environment("test")
    for library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        assert environment[f"{library}_NUM_THREADS"] == "1"
    assert str(checkout.folder) in environment["PYTENSOR_FLAGS"]


@pytest.mark.parametrize("code", ["1", "5"])
def test_tests_that_fail_or_are_none_fail_the_whole(checkout: Checkout, code: str) -> None:
    checkout.add_python("python3.12")
    checkout.set_state("test-code", code)
    result = checkout.make("test")
    assert result.returncode != 0
    assert result.stdout.splitlines()[-1] == "make test: FAILED, see above"


def test_everything_includes_the_slow_tests(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    assert checkout.make("test-all").returncode == 0
    runs = [line for line in checkout.read_log() if "-m pytest" in line]
    assert runs == ["-m pytest -q --durations=10 -n 2 --dist loadgroup"]


def test_check_runs_format_lint_types_and_contracts(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    assert checkout.make("check").returncode == 0
    log = "\n".join(checkout.read_log())
    for step in ("-m ruff format --check .", "-m ruff check .", "-m mypy", "lint_imports_command"):
        assert step in log


def test_bench_installs_its_extra_once_and_runs_the_speed_comparisons(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    (checkout.folder / "benchmarks").mkdir()
    for name in ("coverage.py", "speed.py", "attribution_speed.py"):
        (checkout.folder / "benchmarks" / name).touch()
    assert checkout.make("bench", "ARGS=--limit 5").returncode == 0
    log = checkout.read_log()
    runs = ["benchmarks/speed.py --limit 5", "benchmarks/attribution_speed.py"]
    assert [line for line in log if line.startswith("benchmarks/")] == runs
    assert sum(".[test,bench]" in line for line in log) == 1


def test_clean_keeps_the_runs(checkout: Checkout) -> None:
    checkout.add_python("python3.12")
    checkout.set_state("report")
    checkout.make("fit")
    assert checkout.make("clean").returncode == 0
    assert (checkout.folder / "runs/two words/report.html").exists()
    assert not (checkout.folder / ".venv").exists()
    assert not (checkout.folder / ".cache").exists()


def test_the_ci_command_checks_first_and_ends_with_make_test(tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    checkout = build_checkout(tmp_path / "two words", tmp_path / "state")
    checkout.add_python("python3.12")
    for tool in ("bash", "dirname"):
        (checkout.programs / tool).symlink_to(str(shutil.which(tool)))
    (checkout.folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", checkout.folder / ".ci/run")
    result = checkout.run(str(checkout.folder / ".ci/run"))
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "make test: all passed"
    assert "-m mypy" in checkout.read_log()
