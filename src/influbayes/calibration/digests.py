"""Digests of what a calibration speaks about: the code of the model and its engines, and the specification.

Takes source files and specifications; a change of comments, docstrings or blank lines changes no digest. The digest of
an engine covers the modules its draws depend on and no others: a record made with `laplace` says nothing of, and so
does not age with, the PyMC model, `nuts`, how fits are saved and predicted from, how specification files are read (what
they say has a digest of its own), or which tables are refused.
"""

from __future__ import annotations

import hashlib
import io
import tokenize
from importlib.resources import files

from influbayes.hierarchy.spec import Specification, render_spec

ROOMS = ("hierarchy", "inference")

LAPLACE = (
    "hierarchy.coding",
    "hierarchy.design",
    "hierarchy.priors",
    "inference.certificate",
    "inference.densities",
    "inference.expansion",
    "inference.kernels",
    "inference.kernels_draws",
    "inference.laplace",
    "inference.levels",
    "inference.likelihood",
    "inference.metropolis",
    "inference.pareto",
    "inference.plan",
    "inference.proposal",
    "inference.quadrature",
    "inference.scales",
)
"""Modules the draws of `laplace` depend on."""

BESIDE_LAPLACE = (
    "hierarchy.design_faults",
    "hierarchy.posterior",
    "hierarchy.predict",
    "hierarchy.spec",
    "hierarchy.spec_editing",
    "hierarchy.spec_entries",
    "hierarchy.spec_measured",
    "hierarchy.spec_names",
    "hierarchy.spec_reader",
    "hierarchy.terms",
    "hierarchy.toml_lines",
)
"""Modules that `laplace` imports, directly or not, and whose code decides no draw of a given design."""

_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING}
_BLOCKS = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def digest_code(engine: str = "auto") -> str:
    """Return the SHA-256 (hexadecimal) of the code that the draws of an engine depend on.

    For "laplace" its own modules; for any other engine all of `hierarchy` and `inference`.
    """
    whole = hashlib.sha256()
    for module in list_modules(engine):
        room, name = module.split(".")
        source = files(f"influbayes.{room}").joinpath(f"{name}.py").read_text(encoding="utf-8")
        whole.update(f"{room}/{name}.py\n{normalise_source(source)}\n".encode())
    return whole.hexdigest()


def list_modules(engine: str) -> tuple[str, ...]:
    """Return the modules (room.name) that the digest of an engine covers, in order."""
    if engine in ("laplace", "sample_laplace"):
        return LAPLACE
    names = (f"{room}.{entry.name[:-3]}" for room in ROOMS for entry in files(f"influbayes.{room}").iterdir()
             if entry.name.endswith(".py"))  # fmt: skip
    return tuple(sorted(names))


def digest_spec(spec: Specification) -> str:
    """Return the SHA-256 (hexadecimal) of a specification's terms and priors; name, title and comments do not count."""
    lines = render_spec(spec).splitlines()
    kept = [line for line in lines if line.strip() and not line.startswith(("#", "title"))]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def normalise_source(source: str) -> str:
    """Return Python source as its tokens, without comments, docstrings, blank lines and layout."""
    kept: list[str] = []
    line: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in _SILENT:
            continue
        if token.type not in _BLOCKS:
            line.append(token)
            continue
        if not _is_docstring(line):
            kept.extend(part.string for part in line)
            kept.append("" if token.type == tokenize.NEWLINE else tokenize.tok_name[token.type])
        line = []
    return "\n".join(kept)


def _is_docstring(line: list[tokenize.TokenInfo]) -> bool:
    return len(line) == 1 and line[0].type == tokenize.STRING
