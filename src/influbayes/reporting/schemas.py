"""The JSON Schemas that ship: which there are, and what of a results.json does not keep to its own.

Takes plain data; knows no study beyond the name of its schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

CONVERSION, RETURNS, ATTRIBUTION = "results.schema.json", "results_returns.schema.json", "credit.schema.json"


@cache
def load_schema(name: str = CONVERSION) -> dict[str, Any]:
    """Return a JSON Schema as shipped, that of a conversion study unless told."""
    text = resources.files("influbayes.reporting").joinpath(name).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def find_violations(results: Mapping[str, Any], schema: str) -> tuple[str, ...]:
    """Return what is wrong with plain results by a shipped schema, one message each; empty where all is well."""
    from jsonschema import Draft202012Validator  # 0.1 s, and most runs only write

    found = sorted(Draft202012Validator(load_schema(schema)).iter_errors(results), key=lambda error: error.json_path)
    return tuple(f"{error.json_path}: {error.message[:300]}" for error in found)
