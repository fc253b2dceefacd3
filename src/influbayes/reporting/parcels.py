"""Results as plain bytes and back, so that a copy of this process can hand them over: pictures, regressions, scores,
fits.

Numbers come back bit for bit, not-a-number too. A parcel is a head (JSON) and what the head describes; opening one runs
no code. Parcels never leave the process and its copies: files that last are written elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from influbayes.effects.estimands import Effect
from influbayes.effects.frequentist import Frequentist
from influbayes.effects.model_comparison import Score
from influbayes.hierarchy.design import Design
from influbayes.hierarchy.posterior import EngineRun, Fit

Images = dict[str, bytes]

_LENGTH = 8


def pack_images(found: Mapping[str, Images]) -> bytes:
    """Return task -> name -> picture as bytes."""
    sizes = {task: {name: len(image) for name, image in images.items()} for task, images in found.items()}
    return _pack(sizes, (image for images in found.values() for image in images.values()))


def unpack_images(data: bytes) -> dict[str, Images]:
    """Return what `pack_images` was given."""
    head, at = _unpack(data)
    found: dict[str, Images] = {}
    for task, sizes in head.items():
        found[task] = {}
        for name, size in sizes.items():
            found[task][name] = data[at : at + size]
            at += size
    return found


def pack_regressions(found: Mapping[str, Frequentist]) -> bytes:
    """Return the regressions of each question as bytes."""
    return _pack({question: asdict(one) for question, one in found.items()})


def unpack_regressions(data: bytes) -> dict[str, Frequentist]:
    """Return what `pack_regressions` was given."""
    return {
        question: Frequentist(
            rows=tuple(Effect(**row) for row in one["rows"]),
            exists=one["exists"],
            separated=tuple(one["separated"]),
            clusters=one["clusters"],
            notes=tuple(one["notes"]),
        )
        for question, one in _unpack(data)[0].items()
    }


def pack_comparison(scores: Sequence[Score], plain: Fit | None) -> bytes:
    """Return a comparison of models, and a fit that was made for it, as bytes."""
    return _pack([asdict(score) for score in scores], [] if plain is None else [pack_fit(plain)])


def unpack_comparison(data: bytes, plain: Design | None) -> tuple[tuple[Score, ...], Fit | None]:
    """Return what `pack_comparison` was given, the fit as one of the design `plain`."""
    rows, at = _unpack(data)
    fit = None if plain is None or at == len(data) else unpack_fit(data[at:], plain)
    return tuple(Score(**row) for row in rows), fit


def pack_fit(fit: Fit) -> bytes:
    """Return the draws of a fit and how they were made; its design is not part of the parcel."""
    groups = {"draws": fit.draws, "sample_stats": fit.sample_stats}
    shapes = {
        group: {name: [values.dtype.str, list(values.shape)] for name, values in arrays.items()}
        for group, arrays in groups.items()
    }
    arrays = (np.ascontiguousarray(values).tobytes() for arrays in groups.values() for values in arrays.values())
    return _pack({"run": asdict(fit.run), **shapes}, arrays)


def unpack_fit(data: bytes, design: Design) -> Fit:
    """Return what `pack_fit` was given, as a fit of `design`."""
    head, at = _unpack(data)
    groups: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for group in ("draws", "sample_stats"):
        groups[group] = {}
        for name, (kind, shape) in head[group].items():
            count = int(np.prod(shape))
            values = np.frombuffer(data, dtype=np.dtype(kind), count=count, offset=at).reshape(shape)
            groups[group][name] = values
            at += values.nbytes
    run = EngineRun(**{**head["run"], "rungs": tuple(head["run"]["rungs"])})
    return Fit(design=design, draws=groups["draws"], sample_stats=groups["sample_stats"], run=run)


def _pack(head: object, bodies: Iterable[bytes] = ()) -> bytes:
    text = json.dumps(head, default=_make_plain).encode()
    text += b" " * (-len(text) % _LENGTH)  # what follows starts where numbers of eight bytes may
    return b"".join((len(text).to_bytes(_LENGTH), text, *bodies))


def _unpack(data: bytes) -> tuple[Any, int]:
    """Return the head and where it ends."""
    end = _LENGTH + int.from_bytes(data[:_LENGTH])
    return json.loads(data[_LENGTH:end]), end


def _make_plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in a parcel")
