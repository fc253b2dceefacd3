"""A design as NUTS sees it: one packed buffer of numbers, and what the numbers of a point mean.

Takes designs; gives the buffer that `kernels_gradient` reads, starting points and named draws. The coordinates are
those of the PyMC model, in its order: standard normal coefficients of every effect, logarithms of scales. Knows no
sampler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, pi

import numpy as np

from influbayes.hierarchy.coding import Block, Coding, code_design, dims_of
from influbayes.hierarchy.design import Design, FloatArray, IntArray
from influbayes.hierarchy.model import collect_data
from influbayes.hierarchy.priors import log_density_scale
from influbayes.hierarchy.spec import ScalePrior

START_WIDTH = 2.0
"""Chains start uniformly within this many prior sds (or log units of a scale) of the prior's centre, as Stan's do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One term in the point: `size` coefficients from `start`, and behind them the log of its scale if that is free.

    `target` is the first column of X, or for a `grouped` factor its number. `basis` (None: one coefficient a level)
    turns coefficients into effects of this `shape`.
    """

    variable: str
    start: int
    size: int
    target: int
    grouped: bool = False
    basis: FloatArray | None = None
    shape: tuple[int, ...] = ()
    scale_prior: ScalePrior | None = None
    fixed_scale: float = 0.0

    @property
    def is_plain(self) -> bool:
        """Whether the coefficients are the variable itself: intercept and slopes."""
        return self.basis is None and not self.grouped

    @property
    def scale_at(self) -> int:
        """Place of the log of the scale in the point, -1 where there is none."""
        return -1 if self.scale_prior is None else self.start + self.size

    @property
    def stop(self) -> int:
        """First place after this term."""
        return self.start + self.size + (self.scale_prior is not None)


def place_parts(design: Design, coding: Coding | None = None) -> tuple[Part, ...]:
    """Return the terms of a design in the order in which the PyMC model declares its free variables."""
    parts: list[Part] = []
    for block in (coding or code_design(design)).blocks:
        parts.append(_place_block(parts, block))
    grouped = [term for term in design.factors if term.levels == "sample"]
    for number, term in enumerate(grouped):
        count = len(design.levels[term.column])
        parts.append(
            Part(
                variable=f"effect_{term.column}",
                start=parts[-1].stop,
                size=count,
                target=number,
                grouped=True,
                shape=(count,),
                scale_prior=term.scale_prior,
                fixed_scale=float(term.scale or 0.0),
            )
        )
    return tuple(parts)


def _place_block(parts: Sequence[Part], block: Block) -> Part:
    return Part(
        variable=block.variable,
        start=parts[-1].stop if parts else 0,
        size=block.size,
        target=block.start,
        basis=block.basis,
        shape=block.shape,
        scale_prior=block.scale_prior,
        fixed_scale=float(block.fixed_scale or 0.0),
    )


def name_draws(design: Design, points: FloatArray) -> dict[str, FloatArray]:
    """Turn points (chain, draw, point) into the named variables of `Fit.draws`, in their order."""
    named: dict[str, FloatArray] = {}
    for part in place_parts(design):
        values = points[..., part.start : part.start + part.size]
        if part.is_plain:
            named[part.variable] = values[..., 0] if part.variable == "intercept" else values
            continue
        scale: FloatArray = np.full(points.shape[:-1], part.fixed_scale)
        if part.scale_prior is not None:
            scale = np.exp(points[..., part.scale_at])
            named[f"scale_{part.variable.removeprefix('effect_')}"] = scale
        effect = scale[..., None] * (values if part.basis is None else values @ part.basis.T)
        named[part.variable] = effect.reshape(*points.shape[:-1], *part.shape)
    return {name: np.ascontiguousarray(named[name]) for name in dims_of(design)}


def make_starts(design: Design) -> Callable[[int], FloatArray]:
    """Return a function of a seed that draws a starting point around the centre of the prior.

    Over-dispersed on purpose: R-hat sees only what chains from different places can disagree on.
    """
    centre, width = [], []
    for part in place_parts(design):
        prior = _list_normals(design, part)
        centre += [mean for mean, _ in prior]
        width += [sd for _, sd in prior]
        if part.scale_prior is not None:
            family, parameter, _ = _describe_scale(part.scale_prior)
            centre.append(-log(parameter) if family == _FAMILIES["exponential"] else log(parameter))
            width.append(1.0)

    def start(seed: int) -> FloatArray:
        jitter = np.random.default_rng(seed).uniform(-START_WIDTH, START_WIDTH, len(centre))
        return np.array(centre) + np.array(width) * jitter

    return start


def _list_normals(design: Design, part: Part) -> list[tuple[float, float]]:
    """Return mean and sd of the Normal prior of every coefficient of a term."""
    if part.variable == "intercept":
        return [(design.specification.intercept.mean, design.specification.intercept.sd)]
    if part.variable == "slope":
        return [(term.prior.mean, term.prior.sd) for term in design.numerics]
    return [(0.0, 1.0)] * part.size


# --- the buffer -------------------------------------------------------------------------------------------------------

# Numbers of families and kinds are those of `kernels_gradient`; not imported from there, because numba loads slowly.
_FAMILIES = {"half_normal": 0, "exponential": 1, "half_cauchy": 2, "half_student_t": 2}


def _describe_scale(prior: ScalePrior) -> tuple[int, float, float]:
    """Return family, scale (or rate) and degrees of freedom as the kernel takes them; Cauchy is t with one."""
    if prior.family == "half_student_t":
        df, parameter = prior.parameters
        return _FAMILIES[prior.family], parameter, df
    return _FAMILIES[prior.family], prior.parameters[0], 1.0


def pack_design(design: Design) -> FloatArray:
    """Return everything the density of a design is made of as one array of 8-byte words.

    A header says how many and where; whole numbers stand in the words' bits. Its layout is that of `kernels_gradient`.
    """
    from influbayes.inference import kernels_gradient as layout

    coding = code_design(design)
    parts, data = place_parts(design, coding), collect_data(design, coding)
    codes = [data[f"code_{name}"].astype(np.int64) for name in coding.grouped]
    order = _spread_levels(codes, len(data["trials"]))
    rows = -(-len(order) // layout.LANES) * layout.LANES
    trials = _pad(data["trials"][order].astype(np.float64), rows)
    plain = [normal for part in parts if part.is_plain for normal in _list_normals(design, part)]
    sections = {
        layout.AT_X: _pad(data["X"][order].T, rows),
        layout.AT_CONVERSIONS: _pad(data["observed"][order].astype(np.float64), rows),
        layout.AT_TRIALS: trials,
        layout.AT_CODES: np.array([_pad(code[order], rows) for code in codes], dtype=np.int64),
        layout.AT_MANY: np.flatnonzero(trials > 1),
        layout.AT_TERMS: np.array([_describe_term(part) for part in parts], dtype=np.int64),
        layout.AT_NUMBERS: np.array([_list_numbers(part) for part in parts]),
        layout.AT_NORMAL: np.array(plain),
        layout.AT_CONSTANT: np.array([_sum_constants(design, parts) + float(data["log_ways"].sum())]),
    }
    header = np.zeros(layout.HEADER, dtype=np.int64)
    header[layout.ROWS], header[layout.COLUMNS] = rows, data["X"].shape[1]
    header[layout.POINT], header[layout.GROUPED] = parts[-1].stop, len(codes)
    header[layout.TERMS], header[layout.MANY] = len(parts), len(sections[layout.AT_MANY])
    place = layout.HEADER
    for slot, section in sections.items():
        header[slot] = place
        place += section.size
    header[-1] = place
    return np.concatenate([header.view(np.float64), *(_read_words(section) for section in sections.values())])


def _read_words(section: FloatArray | IntArray) -> FloatArray:
    """Return the bits of an array as 8-byte words."""
    return np.ascontiguousarray(section).ravel().view(np.float64)


def _pad(values: FloatArray, rows: int) -> FloatArray:
    """Add zeros to the last axis: rows of no trials, which add nothing."""
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, rows - values.shape[-1])])


def _spread_levels(codes: Sequence[IntArray], count: int) -> IntArray:
    """Return an order of the rows in which alike levels of the largest grouped factor stand far apart.

    Sums by level then seldom wait for the sum before.
    """
    if not codes:
        return np.arange(count)
    code = max(codes, key=lambda levels: int(levels.max()))
    by_level = np.argsort(code, kind="stable")
    first = np.searchsorted(code[by_level], code[by_level])
    turn = np.empty(count, dtype=np.int64)
    turn[by_level] = np.arange(count) - first
    return np.lexsort((code, turn))


def _describe_term(part: Part) -> tuple[int, ...]:
    kind = 0 if part.is_plain else 2 if part.grouped else 1
    family = 0 if part.scale_prior is None else _describe_scale(part.scale_prior)[0]
    return (kind, part.start, part.size, part.target, part.scale_at, family)


def _list_numbers(part: Part) -> tuple[float, float]:
    """Return the two numbers of a scale: parameter and degrees of freedom, or the fixed scale."""
    if part.scale_prior is None:
        return (part.fixed_scale, 0.0)
    return _describe_scale(part.scale_prior)[1:]


def _sum_constants(design: Design, parts: Sequence[Part]) -> float:
    """Return the part of the log prior that no coordinate changes."""
    normal = -sum(log(sd) + 0.5 * log(2.0 * pi) for part in parts for _, sd in _list_normals(design, part))
    at_zero = (float(log_density_scale(part.scale_prior, np.zeros(()))) for part in parts if part.scale_prior)
    return normal + sum(at_zero)
