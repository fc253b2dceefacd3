"""The documents against the code: Python blocks run, options and exit codes are the real ones, links lead somewhere."""

import importlib.util
import json
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "data/README.md")
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
RENEW = "run .venv/bin/python notebooks/refresh.py and look at what changed"


def load_refresh() -> ModuleType:
    spec = importlib.util.spec_from_file_location("refresh", ROOT / "notebooks" / "refresh.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFRESH = load_refresh()


def find_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def list_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def find_links(text: str) -> list[str]:
    """Return the targets of links and pictures, without addresses and anchors."""
    targets = (target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text))
    return [target for target in targets if target and "://" not in target]


def find_paths(text: str) -> list[str]:
    """Return what stands in backticks and reads as a path of this repository."""
    folders = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    return re.findall(rf"`((?:{folders})/[\w./-]*)`", text)


# --- README -----------------------------------------------------------------------------------------------------------


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faked_engine: list[dict[str, Any]], capsys: pytest.CaptureFixture
) -> None:
    (block,) = find_blocks(README, "python")
    lines = (ROOT / "data" / "posts.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    # Part of the sample will do: what is tested is that the calls are right.
    (tmp_path / "posts.csv").write_text("".join(lines[:301]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert faked_engine, "no engine was called"
    assert (tmp_path / "runs/first/report.html").is_file()
    assert re.search(r"^odds_ratio \d", printed, re.MULTILINE)
    assert re.search(r"^difference -?\d", printed, re.MULTILINE)
    assert "Probability(value=0." in printed


def test_the_python_of_the_readme_is_at_most_eight_lines() -> None:
    (block,) = find_blocks(README, "python")
    assert len([line for line in block.splitlines() if line.strip()]) <= 8


def test_options_are_those_of_help() -> None:
    assert REFRESH.find_part(README, "options") == REFRESH.render_options(), RENEW


def test_options_are_read_from_the_parser() -> None:
    from influbayes.fit import build_parser

    table = REFRESH.render_options()
    shown = build_parser().format_help()
    for option in re.findall(r"`(--[a-z-]+)", table):
        assert option in shown
    assert len(re.findall(r"^\| `--", table, re.MULTILINE)) == len(
        set(re.findall(r"^  (--[a-z-]+)", shown, re.MULTILINE))
    )


def test_exit_codes_are_those_of_help() -> None:
    from influbayes.fit import build_parser

    epilog = " ".join(str(build_parser().epilog).split())
    assert epilog in " ".join(README.split())


def test_make_targets_named_in_the_documents_exist() -> None:
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE))
        assert named <= list_targets(), name
    assert {"fit", "test"} <= set(re.findall(r"^    make ([a-z-]+)$", README, re.MULTILINE))


def test_the_files_of_a_run_are_those_named() -> None:
    from influbayes.reporting.results import name_posterior

    table = README[README.index("| file | what it is |") : README.index("## In Python")]
    named = set(re.findall(r"`([\w./]+)`", table))
    posteriors = {name_posterior(question, alone=False) for question in ("engagement_constant", "as_bought")}
    assert named == {"report.html", "results.json", "plots/", "spec.toml", "MANIFEST.json", *posteriors}


def test_the_words_of_probabilities_are_those_of_the_report() -> None:
    from influbayes.gate.thresholds import CUTS
    from influbayes.reporting.wording import WORDS

    table = README[README.index("| probability | words |") : README.index("A sentence is told")]
    rows = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", table, re.MULTILINE)[1:]
    cuts = [f"{100 * cut:.0f}" for cut in CUTS]
    ranges = [
        f"below {cuts[0]} %",
        *(f"{a} to {b} %" for a, b in pairwise(cuts)),
        f"from {cuts[-1]} %",
    ]
    assert rows == list(zip(ranges, WORDS, strict=True))


def test_the_limit_of_few_posts_is_that_of_the_gate() -> None:
    from influbayes.gate.thresholds import MIN_LEVEL_TRIALS

    assert f"fewer than {MIN_LEVEL_TRIALS} posts" in README


def test_columns_named_are_those_the_reader_wants() -> None:
    from influbayes.tables.posts import PostColumns

    table = README[README.index("| column | what it holds |") : README.index("Other names:")]
    named = set(re.findall(r"`(\w+)`", table))
    columns = PostColumns()
    assert set(columns.required) | set(columns.optional_labels) <= named
    assert named <= set((ROOT / "data/posts.csv").read_text(encoding="utf-8").splitlines()[0].split(","))


def test_the_screen_and_the_notebook_tell_the_same() -> None:
    """Both are made by one command from one sample; a document renewed by half would differ."""
    screen = " ".join(REFRESH.find_part(README, "screen").split())
    cells = json.loads((ROOT / "notebooks/01_first_fit.ipynb").read_text(encoding="utf-8"))["cells"]
    texts = ["".join(output.get("text", "")) for cell in cells for output in cell.get("outputs", ())]
    headlines = [line[2:] for text in texts for line in text.splitlines() if line.startswith("- ")]
    assert len(headlines) == 2
    assert [line for line in headlines if line not in screen] == [], RENEW


def test_the_readme_shows_the_picture_that_is_there() -> None:
    assert "](assets/contrasts.png)" in README
    picture = (ROOT / "assets/contrasts.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 100_000


# --- all documents ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_and_paths_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    folder = (ROOT / name).parent
    assert [target for target in find_links(text) if not (folder / target).exists()] == []
    assert [path for path in find_paths(text) if not (ROOT / path).exists() and not path.startswith("runs/")] == []


def test_a_dead_link_would_be_found() -> None:
    assert find_links("[a](b.md#c) [d](https://example.org/e) ![f](g/h.png)") == ["b.md", "g/h.png"]
    assert find_paths("see `tests/nowhere.py` and `notebook`") == ["tests/nowhere.py"]


def test_the_architecture_names_every_room_and_module_of_the_top() -> None:
    package = ROOT / "src" / "influbayes"
    rooms = {path.name for path in package.iterdir() if (path / "__init__.py").exists()}
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py"}
    described = set(re.findall(r"^\*\*(\w+)/\*\*", ARCHITECTURE, re.MULTILINE))
    assert described == rooms
    assert [name for name in modules if f"`{name}`" not in ARCHITECTURE] == []


def test_the_architecture_states_the_import_contract() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert "\n".join(f"    {layer}" for layer in layers) in ARCHITECTURE


def test_the_architecture_gives_a_reason_for_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = {Requirement(text).name for text in project["dependencies"]}
    table = ARCHITECTURE[ARCHITECTURE.index("## Why each dependency") : ARCHITECTURE.index("Extras:")]
    assert set(re.findall(r"^\| ([\w-]+) \| .{10,}\|$", table, re.MULTILINE)) - {"package"} == direct
    extras = ARCHITECTURE[ARCHITECTURE.index("Extras:") : ARCHITECTURE.index("## Decisions")]
    for extra, texts in project["optional-dependencies"].items():
        missing = [name for text in texts if (name := Requirement(text).name) not in extras]
        assert (extra, missing) == (extra, [])
        assert f"`{extra}`" in extras


def test_names_from_python_are_exported() -> None:
    import influbayes

    used = set(re.findall(r"\bib\.(\w+)\(", README))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    used |= set(re.findall(r"`(\w+)`", changelog[changelog.index("- From Python:") :].split("\n\n")[0]))
    assert used <= set(influbayes.__all__)
