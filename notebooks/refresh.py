"""Renews what the documents quote: the screen and the options in README.md, its picture, the output in the notebooks.

Run it from anywhere after a change that moves a number, a sentence or an option:

    .venv/bin/python notebooks/refresh.py

It fits the bundled sample twice, once at the command line and once in the notebook. Knows nothing of models.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from base64 import b64decode, b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PICTURE = ROOT / "assets" / "contrasts.png"
NOTEBOOKS = (
    "01_first_fit.ipynb",
    "02_reviewing_a_posterior.ipynb",
    "03_against_frequentist_fits.ipynb",
    "04_what_to_buy.ipynb",
    "05_returns.ipynb",
    "06_attribution.ipynb",
)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# The notebooks read the samples and write their runs beside them, so a copy needs these and nothing else.
NEEDED = (
    "data/posts.csv",
    "data/posts_truth.toml",
    "data/ledger/influencers.csv",
    "data/ledger/payouts.csv",
    "data/ledger/posts.csv",
    "data/ledger/tracking_data.csv",
    "data/ledger/truth.toml",
    "data/sessions.csv",
    "data/sessions_truth.toml",
)
COLOURS = 64
INLINE = "module://matplotlib_inline.backend_inline"


def main() -> int:
    """Renew every part; return 0."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        screen = fit_sample(folder)
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_bytes(shrink_png((folder / "runs" / "posts" / "plots" / "contrasts.png").read_bytes()))
        text = replace_part(README.read_text(encoding="utf-8"), "screen", f"```text\n{screen}\n```")
        text = replace_part(text, "options", render_options())
        README.write_text(text, encoding="utf-8")
        print("README.md and its picture are renewed.")
        for notebook in NOTEBOOKS:
            store_notebook(execute_notebook(notebook, folder), ROOT / "notebooks" / notebook)
            print(f"notebooks/{notebook} is renewed.")
    return 0


def fit_sample(folder: Path) -> str:
    """Fit the bundled sample in `folder` (run folder runs/posts) and return the upper part of the screen."""
    result = subprocess.run(
        [sys.executable, "-m", "influbayes.fit"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SystemExit(f"The fit of the sample ended with code {result.returncode}:\n{result.stdout}{result.stderr}")
    return cut_screen(result.stdout)


def cut_screen(printed: str) -> str:
    """Return the screen from its first line to the notes, without progress lines, paths and trailing blanks."""
    lines = [line.rstrip() for line in printed.splitlines()]
    first = next(place for place, line in enumerate(lines) if line.startswith("SAMPLE DATA"))
    last = next(place for place, line in enumerate(lines) if place > first and re.match(r"(Mind|Data: )", line))
    return "\n".join(lines[first:last]).rstrip()


def render_options(parser: ArgumentParser | None = None) -> str:
    """Return the options of the fit as a table, from the parser itself."""
    from influbayes.fit import build_parser

    actions = (parser or build_parser())._actions
    rows = [(_name_option(action), str(action.help)) for action in actions if action.dest != "help"]
    return "\n".join(["| option | meaning |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in rows)])


def _name_option(action: Any) -> str:
    value = action.metavar or ("|".join(action.choices) if action.choices else "")
    words = [*action.option_strings[:1], *([value] if value else [])]
    return " ".join(words).replace("|", r"\|")


def replace_part(text: str, name: str, content: str) -> str:
    """Return `text` with what stands between the two marks of `name` replaced."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- end of {name} -->)", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"The marks of {name!r} must stand in the text once.")
    return pattern.sub(lambda match: f"{match[1]}{content}{match[2]}", text)


def find_part(text: str, name: str) -> str:
    """Return what stands between the two marks of `name`."""
    match = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end of {name} -->", text, re.DOTALL)
    if match is None:
        raise ValueError(f"The marks of {name!r} are missing.")
    return match[1]


def execute_notebook(notebook: str, folder: Path) -> Any:
    """Run a notebook in `folder`/notebooks, beside a copy of the samples, and return it with its output.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell failed.
    """
    import nbformat
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    for name in NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    place = folder / "notebooks"
    place.mkdir(exist_ok=True)
    document = nbformat.read(ROOT / "notebooks" / notebook, as_version=4)
    # A short name, because the path of a socket may not be longer than about a hundred letters.
    with tempfile.TemporaryDirectory(prefix="kernel-") as sockets:
        manager = AsyncKernelManager(
            kernel_name="python3", transport="ipc", connection_file=str(Path(sockets) / "kernel.json")
        )
        settings = {
            "timeout": 600,
            "record_timing": False,
            "coalesce_streams": True,
            "resources": {"metadata": {"path": str(place)}},
        }
        # No start-up file or history of the user takes part, and no backend that another program asked for.
        kernel = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "MPLBACKEND": INLINE}
        NotebookClient(document, km=manager, **settings).execute(env=kernel, cleanup_kc=True)
    return document


def store_notebook(document: Any, path: Path) -> None:
    """Write a notebook with small pictures and without traces of the machine it ran on."""
    import nbformat

    document.metadata = nbformat.from_dict(METADATA)
    for cell in document.cells:
        cell.metadata = nbformat.from_dict({})
        for output in cell.get("outputs", ()):
            output.pop("metadata", None) if output.output_type == "stream" else output.update(metadata={})
            if "image/png" in output.get("data", {}):
                small = shrink_png(b64decode(output.data["image/png"]))
                output.data["image/png"] = b64encode(small).decode("ascii")
    nbformat.validate(document)
    nbformat.write(document, path)


def shrink_png(image: bytes) -> bytes:
    """Return a PNG with at most 64 colours: plots lose nothing that can be seen, and shrink to a third."""
    from PIL import Image

    target = BytesIO()
    Image.open(BytesIO(image)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        target, format="PNG", optimize=True
    )
    return target.getvalue()


if __name__ == "__main__":
    sys.exit(main())
