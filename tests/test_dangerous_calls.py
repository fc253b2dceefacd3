"""What the product never calls: what runs code from data, and what writes tables past the one export function."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[1] / "src" / "influbayes"
MODULES = ("pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal")
CALLS = ("eval", "exec", "compile", "yaml.load", "os.system", "os.popen")
TABLE_WRITERS = ("to_csv", "to_excel", "to_pickle", "to_html", "to_markdown", "to_latex")
MAY_WRITE_TABLES = ("tables/export.py", "tables/simulate.py")


def find_dangers(source: str, *, may_write_tables: bool = False) -> list[str]:
    """Line and name of everything in a module that is banned."""
    found = []
    for node in ast.walk(ast.parse(source)):
        found += [f"{node.lineno}: {name}" for name in _name_dangers(node, may_write_tables)]  # type: ignore[attr-defined]
    return found


def _name_dangers(node: ast.AST, may_write_tables: bool) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names if alias.name.partition(".")[0] in MODULES]
    if isinstance(node, ast.ImportFrom):
        module = (node.module or "").partition(".")[0]
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name for name in names if module in MODULES or name in CALLS]
    if not isinstance(node, ast.Call):
        return []
    called = ast.unparse(node.func)
    writer = isinstance(node.func, ast.Attribute) and node.func.attr in TABLE_WRITERS and not may_write_tables
    return [
        *([called] if called in CALLS or writer else []),
        *(
            f"{keyword.arg}={ast.unparse(keyword.value)}"
            for keyword in node.keywords
            if keyword.arg in ("shell", "unsafe_allow_html", "allow_pickle") and ast.unparse(keyword.value) != "False"
        ),
    ]


def test_no_module_calls_what_is_banned() -> None:
    found = {}
    for path in SOURCES.rglob("*.py"):
        name = path.relative_to(SOURCES).as_posix()
        dangers = find_dangers(path.read_text(encoding="utf-8"), may_write_tables=name in MAY_WRITE_TABLES)
        if dangers:
            found[name] = dangers
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "import joblib.memory as m",
        "from cloudpickle import dumps",
        "from yaml import load",
        "yaml.load(text)",
        "eval(text)",
        "exec(text)",
        "subprocess.run(words, shell=True)",
        "st.markdown(text, unsafe_allow_html=True)",
        "np.load(path, allow_pickle=True)",
        "frame.to_csv(path)",
        "results.frame.to_html()",
    ],
)
def test_the_scanner_finds_what_is_banned(line: str) -> None:
    assert len(find_dangers(line)) == 1


@pytest.mark.parametrize("line", ["yaml.safe_load(text)", "re.compile(text)", "subprocess.run(words, shell=False)"])
def test_the_scanner_passes_what_is_harmless(line: str) -> None:
    assert find_dangers(line) == []


def test_the_export_module_may_write_tables() -> None:
    assert find_dangers("frame.to_csv(path)", may_write_tables=True) == []
