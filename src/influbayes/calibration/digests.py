"""Digests of what a calibration speaks about: the code of the model and its engines, and the specification.

Takes source files and specifications; a change of comments, docstrings or blank lines changes no digest.
"""

from __future__ import annotations

import hashlib
import io
import tokenize
from importlib.resources import files

from influbayes.hierarchy.spec import Specification, render_spec

ROOMS = ("hierarchy", "inference")
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING}
_BLOCKS = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def digest_code() -> str:
    """Return the SHA-256 (hexadecimal) of the code of `hierarchy` and `inference`."""
    whole = hashlib.sha256()
    for room in ROOMS:
        sources = (entry for entry in files(f"influbayes.{room}").iterdir() if entry.name.endswith(".py"))
        for source in sorted(sources, key=lambda entry: entry.name):
            code = normalise_source(source.read_text(encoding="utf-8"))
            whole.update(f"{room}/{source.name}\n{code}\n".encode())
    return whole.hexdigest()


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
