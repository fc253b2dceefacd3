"""Coefficients of a design: which columns an engine samples, and how they become named effects.

An `all` factor with J levels is J - 1 iid Normal(0, scale) coefficients on orthonormal zero-sum columns; an
interaction is the Kronecker product of two such codings; a `sample` factor is one Normal(0, scale) coefficient a
level. Both engines read the model through this module, so that they cannot differ in what they sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from influbayes.hierarchy.design import Design, FloatArray, IntArray, zero_sum_basis
from influbayes.hierarchy.spec import FactorTerm, InteractionTerm, ScalePrior


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Coefficients `start` to `stop` (exclusive) of one term.

    `variable` is the name of what they make (`intercept`, `slope`, `effect_F`); `basis` (cells, coefficients) turns
    coefficients into effects, shaped `shape`. `scale` names the scale variable, or is None where `fixed_scale` holds.
    """

    variable: str
    start: int
    stop: int
    basis: FloatArray | None = None
    shape: tuple[int, ...] = ()
    scale: str | None = None
    scale_prior: ScalePrior | None = None
    fixed_scale: float | None = None

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """Coded columns `X` (rows, coefficients) for every term but the `sample` factors in `grouped`.

    `blocks` are in column order: intercept, slopes, factors, interactions. `grouped` factors stay integer codes.
    """

    X: FloatArray
    blocks: tuple[Block, ...]
    grouped: tuple[str, ...]

    @property
    def scales(self) -> tuple[Block, ...]:
        """Blocks whose scale is estimated, in order."""
        return tuple(block for block in self.blocks if block.scale is not None)


def code_design(design: Design, *, grouped: tuple[str, ...] | None = None) -> Coding:
    """Code the rows of `design`.

    Parameters
    ----------
    design : Design
    grouped : tuple of str, optional
        `sample` factors to leave as codes; by default all of them. The others become 0/1 columns.

    Returns
    -------
    Coding
        `X` (rows, coefficients) in canonical row order.
    """
    left = tuple(term.column for term in design.factors if term.levels == "sample") if grouped is None else grouped
    columns: list[FloatArray] = [np.ones((len(design.rows), 1))]
    blocks = [Block(variable="intercept", start=0, stop=1)]
    if design.numerics:
        columns.append(design.rows.x)
        blocks.append(_place(blocks, "slope", len(design.numerics)))
    bases = {term.column: factor_basis(design, term) for term in design.factors if term.column not in left}
    for term in design.factors:
        if term.column in bases:
            columns.append(bases[term.column][design.rows.codes[term.column]])
            blocks.append(_place_factor(blocks, term, bases[term.column]))
    for pair in design.interactions:
        basis: FloatArray = np.kron(bases[pair.of[0]], bases[pair.of[1]]).astype(np.float64)
        columns.append(basis[_cell_codes(design, pair)])
        blocks.append(_place_interaction(blocks, pair, basis, design))
    return Coding(X=np.hstack(columns), blocks=tuple(blocks), grouped=left)


def factor_basis(design: Design, term: FactorTerm) -> FloatArray:
    """Return (levels, coefficients): zero-sum columns for `all`, the identity for `sample`."""
    count = len(design.levels[term.column])
    return zero_sum_basis(count) if term.levels == "all" else np.eye(count)


def decode(coding: Coding, coefficients: FloatArray) -> dict[str, FloatArray]:
    """Turn coefficients (..., coefficients) into named variables (..., *shape) on the log-odds scale."""
    named: dict[str, FloatArray] = {}
    for block in coding.blocks:
        part = coefficients[..., block.start : block.stop]
        if block.variable == "intercept":
            named["intercept"] = part[..., 0]
        elif block.basis is None:
            named[block.variable] = part
        else:
            named[block.variable] = (part @ block.basis.T).reshape(*part.shape[:-1], *block.shape)
    return named


def dims_of(design: Design) -> Mapping[str, tuple[str, ...]]:
    """Return the dims of every variable of posterior.nc besides chain and draw."""
    dims: dict[str, tuple[str, ...]] = {"intercept": ()}
    if design.numerics:
        dims["slope"] = ("numeric",)
    for term in design.factors:
        dims[f"effect_{term.column}"] = (term.column,)
        if term.scale is None:
            dims[f"scale_{term.column}"] = ()
    for pair in design.interactions:
        dims[f"effect_{pair.name}"] = pair.of
        if pair.scale is None:
            dims[f"scale_{pair.name}"] = ()
    return dims


def coords_of(design: Design) -> Mapping[str, tuple[str, ...]]:
    """Return the labels of every dim of `dims_of`."""
    return {"numeric": design.numeric_names, **design.levels} if design.numerics else dict(design.levels)


def _cell_codes(design: Design, pair: InteractionTerm) -> IntArray:
    first, second = (design.rows.codes[name] for name in pair.of)
    return first * len(design.levels[pair.of[1]]) + second


def _place(blocks: list[Block], variable: str, size: int) -> Block:
    return Block(variable=variable, start=blocks[-1].stop, stop=blocks[-1].stop + size)


def _place_factor(blocks: list[Block], term: FactorTerm, basis: FloatArray) -> Block:
    start = blocks[-1].stop
    return Block(
        variable=f"effect_{term.column}",
        start=start,
        stop=start + basis.shape[1],
        basis=basis,
        shape=(basis.shape[0],),
        scale=None if term.scale_prior is None else f"scale_{term.column}",
        scale_prior=term.scale_prior,
        fixed_scale=term.scale,
    )


def _place_interaction(blocks: list[Block], pair: InteractionTerm, basis: FloatArray, design: Design) -> Block:
    start = blocks[-1].stop
    return Block(
        variable=f"effect_{pair.name}",
        start=start,
        stop=start + basis.shape[1],
        basis=basis,
        shape=(len(design.levels[pair.of[0]]), len(design.levels[pair.of[1]])),
        scale=None if pair.scale_prior is None else f"scale_{pair.name}",
        scale_prior=pair.scale_prior,
        fixed_scale=pair.scale,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Rows that are alike in every model column, taken together as one binomial row (exact).

    `first` (cells,) index of a row of each cell in canonical order; `conversions`, `trials` (cells,) their sums.
    """

    first: IntArray
    conversions: IntArray
    trials: IntArray


def collapse_rows(design: Design) -> Cells:
    """Group rows with equal predictors and levels; canonical order has them side by side already."""
    keys = [*design.rows.codes.values(), *design.rows.raw.T]
    changed = np.zeros(len(design.rows), dtype=bool)
    changed[0] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    first = np.flatnonzero(changed)
    return Cells(
        first=first,
        conversions=np.add.reduceat(design.conversions, first),
        trials=np.add.reduceat(design.trials, first),
    )
