"""Makes strict plain data of Python values: what JSON can hold, and nothing it cannot.

Takes dictionaries, dataclasses, sequences, numpy arrays and scalars. Not-a-number and infinite become null, and the
place and the reason are listed, so that no null stands unexplained. Knows no study.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import numpy as np

NullList = list[dict[str, str]]


def make_plain(value: object, *, path: str = "") -> tuple[Any, NullList]:
    """Return `value` as plain data, and the list of numbers that had to become null.

    Parameters
    ----------
    value
        Dictionaries with text keys, dataclasses, lists, tuples, numpy arrays and scalars, text, numbers, None, nested.
    path
        Where `value` stands in the whole document, for the list.

    Returns
    -------
    tuple
        The plain value, and one ``{"path", "reason"}`` for each not-a-number or infinite number in it.

    Raises
    ------
    TypeError
        A value that plain data cannot hold.
    """
    nulls: NullList = []
    return _convert(value, path, nulls), nulls


def _convert(value: object, path: str, nulls: NullList) -> Any:
    # Exact types first: a document has hundreds of thousands of numbers and words, and few of anything else.
    kind = type(value)
    if kind is float:
        return _convert_float(value, path, nulls)  # type: ignore[arg-type]
    if kind is str:
        return _write_text(value)  # type: ignore[arg-type]
    if value is None or kind is bool or kind is int:
        return value
    if kind is dict:
        return _convert_mapping(value, path, nulls)  # type: ignore[arg-type]
    if is_dataclass(kind):
        return {name: _convert(getattr(value, name), f"{path}/{name}", nulls) for name in _list_fields(kind)}
    return _convert_rare(value, path, nulls)


def _convert_rare(value: object, path: str, nulls: NullList) -> Any:
    """Convert what is neither of the plain types themselves nor a record: arrays, mappings, sequences, subclasses."""
    if isinstance(value, np.generic | np.ndarray):
        return _convert(value.tolist(), path, nulls)
    if isinstance(value, str):
        return _write_text(value)
    if isinstance(value, float):
        return _convert_float(value, path, nulls)
    if isinstance(value, int):
        return value
    if isinstance(value, Mapping):
        return _convert_mapping(value, path, nulls)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_convert(item, f"{path}/{index}", nulls) for index, item in enumerate(value)]
    raise TypeError(f"{path or 'the document'}: {type(value).__name__} has no place in JSON")


def _convert_mapping(value: Mapping[Any, object], path: str, nulls: NullList) -> dict[str, Any]:
    # Keys in the order of the file, so that what is made of the file equals what was made before it was written.
    named = {_check_key(key): item for key, item in value.items()}
    return {key: _convert(named[key], f"{path}/{key}", nulls) for key in sorted(named)}


def _convert_float(value: float, path: str, nulls: NullList) -> float | None:
    if math.isfinite(value):
        return value
    nulls.append({"path": path, "reason": "not a number" if math.isnan(value) else "infinite"})
    return None


def _write_text(text: str) -> str:
    """Return text that UTF-8 can hold: the command line may carry undecodable bytes as lone surrogates."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _check_key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{key!r}: keys of JSON objects are text")
    return _write_text(key)


@cache
def _list_fields(kind: type) -> tuple[str, ...]:
    return tuple(sorted(field.name for field in fields(kind)))
