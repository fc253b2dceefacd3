"""The notebooks: they run from top to bottom, are stored with what they show, and tell nothing of a machine."""

import base64
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SAMPLING = ("01_first_fit.ipynb", "02_reviewing_a_posterior.ipynb")
EXACT = ("03_against_frequentist_fits.ipynb", "04_what_to_buy.ipynb", "05_returns.ipynb", "06_attribution.ipynb")
WRITING = EXACT[2:]
"""Those that write a report beside the notebook."""
NAMES = (*SAMPLING, *EXACT)
RENEW = "run .venv/bin/python notebooks/refresh.py and look at what changed"
LARGEST_PICTURE = 100_000
MACHINE = re.compile(r"/(?:home|root|tmp|Users|work|var)/|0x[0-9a-f]{8,}|\bPID\b")


def load_refresh() -> ModuleType:
    spec = importlib.util.spec_from_file_location("refresh", ROOT / "notebooks" / "refresh.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_notebook(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "notebooks" / name).read_text(encoding="utf-8"))


def list_code(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def list_texts(notebook: dict[str, Any]) -> list[str]:
    """Return every text of every output."""
    texts = []
    for output in (output for cell in list_code(notebook) for output in cell["outputs"]):
        parts = [output.get("text", ""), *output.get("data", {}).values()]
        texts += ["".join(part) for part in parts]
    return [text for text in texts if not text.startswith("iVBOR")]


def outline(notebook: dict[str, Any]) -> list[list[tuple[str, ...]]]:
    """Return the kinds of output of every code cell: what a reader sees, without the numbers."""
    return [
        [(output["output_type"], *sorted(output.get("data", {}))) for output in cell["outputs"]]
        for cell in list_code(notebook)
    ]


def test_every_notebook_is_known() -> None:
    refresh = load_refresh()
    assert sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb")) == list(NAMES)
    assert refresh.NOTEBOOKS == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_stored_as_it_ran_in_one_go(name: str) -> None:
    notebook = read_notebook(name)
    counts = [cell["execution_count"] for cell in list_code(notebook)]
    assert counts == list(range(1, len(counts) + 1)), RENEW
    assert sum(bool(cell["outputs"]) for cell in list_code(notebook)) >= len(counts) - 2
    kinds = {output["output_type"] for cell in list_code(notebook) for output in cell["outputs"]}
    streams = {output.get("name") for cell in list_code(notebook) for output in cell["outputs"]}
    assert "error" not in kinds
    assert "stderr" not in streams, "a warning would be stored"


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_tells_nothing_of_the_machine_it_ran_on(name: str) -> None:
    notebook = read_notebook(name)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    assert [cell["metadata"] for cell in notebook["cells"] if cell["metadata"]] == []
    assert [match.group() for text in list_texts(notebook) if (match := MACHINE.search(text))] == []


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_small(name: str) -> None:
    outputs = [output for cell in list_code(read_notebook(name)) for output in cell["outputs"]]
    pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    sizes = [len(base64.b64decode("".join(picture))) for picture in pictures]
    assert len(sizes) >= 3
    assert max(sizes) < LARGEST_PICTURE


@pytest.mark.parametrize("name", NAMES)
def test_every_section_is_introduced_in_words(name: str) -> None:
    cells = read_notebook(name)["cells"]
    assert "".join(cells[0]["source"]).startswith("# ")
    assert max(len("".join(cell["source"]).splitlines()) for cell in cells) <= 12


@pytest.mark.nuts
def test_the_notebooks_run_one_after_the_other_and_show_what_is_stored(tmp_path: Path) -> None:
    """Numbers may differ in the last digits from one kind of machine to another, so kinds of output are compared."""
    refresh = load_refresh()
    for name in SAMPLING:
        ran = refresh.execute_notebook(name, tmp_path)
        assert outline(ran) == outline(read_notebook(name)), f"{name}: {RENEW}"
    assert (tmp_path / "runs/first_fit/report.html").is_file()


@pytest.mark.parametrize("name", EXACT)
def test_a_notebook_without_sampling_runs_and_shows_what_is_stored(name: str, tmp_path: Path) -> None:
    ran = load_refresh().execute_notebook(name, tmp_path)
    assert outline(ran) == outline(read_notebook(name)), f"{name}: {RENEW}"
    assert len(list((tmp_path / "runs").glob("*/report.html"))) == (name in WRITING)
