"""Makes strict plain data of Python values: what JSON can hold, and nothing it cannot.

Takes dictionaries, sequences, numpy arrays and scalars. Not-a-number and infinite become null, and the place and the
reason are listed, so that no null stands unexplained. Knows no study.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NullList = list[dict[str, str]]


def make_plain(value: object, *, path: str = "") -> tuple[Any, NullList]:
    """Return `value` as plain data, and the list of numbers that had to become null.

    Parameters
    ----------
    value
        Dictionaries with text keys, lists, tuples, numpy arrays and scalars, text, numbers, None; nested at will.
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
    if isinstance(value, np.generic | np.ndarray):
        return _convert(value.tolist(), path, nulls)
    if isinstance(value, str):
        # The command line may carry undecodable bytes as lone surrogates, which UTF-8 cannot hold.
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float):
        return _convert_float(value, path, nulls)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        # Keys in the order of the file, so that what is made of the file equals what was made before it was written.
        named = {_check_key(key): item for key, item in value.items()}
        return {key: _convert(named[key], f"{path}/{key}", nulls) for key in sorted(named)}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_convert(item, f"{path}/{index}", nulls) for index, item in enumerate(value)]
    raise TypeError(f"{path or 'the document'}: {type(value).__name__} has no place in JSON")


def _convert_float(value: float, path: str, nulls: NullList) -> float | None:
    if math.isfinite(value):
        return value
    nulls.append({"path": path, "reason": "not a number" if math.isnan(value) else "infinite"})
    return None


def _check_key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{key!r}: keys of JSON objects are text")
    return key.encode("utf-8", "backslashreplace").decode("utf-8")
