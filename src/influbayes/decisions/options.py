"""What can be bought: options with the draws of what one post of each brings, its fee, and what a conversion is worth.

Takes a fit; gives `Options`, which every choice is made from. Knows no criterion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from influbayes.effects.averages import Averages, average_posts, list_all_factors
from influbayes.errors import UsageError
from influbayes.hierarchy.design import Design, FloatArray, IntArray
from influbayes.hierarchy.posterior import Fit

ValueUnit = Literal["money", "purchases"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Things that can be bought, one post at a time.

    `rates` (chain, draw, option) expected conversions per post, 0 to 1; `fees` (option,) money per post, or None;
    `values` (chain, draw, option) what a conversion brings, or None; `posts` (option,) posts of it in the table;
    `variable` "Influencer_Tier" or "Influencer_Tier:Audience_Region"; `population` says what was averaged over;
    `single_value` whether one value was given for all levels; `unit` of the values: "money", or "purchases" without a
    price, which are counted like conversions.
    """

    variable: str
    labels: tuple[str, ...]
    rates: FloatArray
    fees: FloatArray | None
    values: FloatArray | None
    posts: FloatArray
    population: str
    question: str
    single_value: bool = True
    unit: ValueUnit = "money"

    @property
    def has_money(self) -> bool:
        """Whether a conversion has a value in money."""
        return self.values is not None and self.unit == "money"

    @property
    def in_money(self) -> bool:
        """Whether net values can be stated: a fee and a value for every option."""
        return self.fees is not None and self.has_money

    @property
    def counted(self) -> str:
        """What is counted where there is no money: "conversions", or "purchases" where they are known."""
        return "conversions" if self.values is None else "purchases"

    @property
    def brought(self) -> FloatArray:
        """What a post brings before its fee (chain, draw, option): in money, purchases or conversions."""
        return self.rates if self.values is None else np.asarray(self.rates * self.values)

    def find(self, label: str) -> int:
        """Return the place of an option; UsageError names what there is."""
        if label not in self.labels:
            raise UsageError(f"{label!r} is nothing that can be bought here; there are {', '.join(self.labels)}.")
        return self.labels.index(label)


def gather_options(
    fit: Fit,
    variable: str | None = None,
    *,
    fees: Mapping[str, float] | None = None,
    values: float | Mapping[str, float] | Mapping[str, FloatArray] | None = None,
    unit: ValueUnit = "money",
    averages: Averages | None = None,
) -> Options:
    """Return what can be bought: the levels of a factor, or the cells of the first two `all` factors.

    Parameters
    ----------
    fit : Fit
        Of the question as bought: what is held constant cannot be bought.
    variable : str, optional
        A factor, or "A:B" for cells; by default the first `all` factor.
    fees : mapping, optional
        Fee of one post by label ("Micro", or "Micro:US"), all in one currency. A label of the first factor stands for
        all its cells.
    values : float or mapping, optional
        Money per conversion: one number, or by level of the first factor a number or draws (chain, draw).
    unit : str
        "purchases" where the values are purchases per conversion, without a price.
    averages : Averages, optional
        `average_posts(fit)`, where already computed.

    Raises
    ------
    UsageError
        The fit holds engagement constant, the variable is unknown, or a fee or value is missing or below 0.
    """
    if fit.design.question != "as_bought":
        raise UsageError("Choices are made from the question as bought; with engagement constant nothing is bought.")
    given = average_posts(fit) if averages is None else averages
    name, labels, rates = _find_rates(given, variable)
    return Options(
        variable=name,
        labels=labels,
        rates=rates,
        fees=None if fees is None else np.array([_pick(fees, label, "fee") for label in labels]),
        values=None if values is None else _spread_values(values, labels, rates.shape[:2]),
        posts=_count_posts(fit, name, labels),
        population=given.population.words,
        question=fit.design.question,
        single_value=not isinstance(values, Mapping),
        unit=unit,
    )


def _find_rates(averages: Averages, variable: str | None) -> tuple[str, tuple[str, ...], FloatArray]:
    levels = averages.population.fit.design.levels
    known = {name: (levels[name], rates) for name, rates in averages.levels.items()}
    if averages.crossed is not None and averages.cells is not None:
        first, second = averages.crossed
        labels = tuple(f"{one}:{two}" for one in levels[first] for two in levels[second])
        known[f"{first}:{second}"] = (labels, averages.cells.reshape(*averages.cells.shape[:2], -1))
    chosen = next(iter(known), None) if variable is None else variable
    check_choosable(averages.population.fit.design)
    if chosen is None or chosen not in known:
        raise UsageError(f"{chosen!r} cannot be bought; this model has {', '.join(known)}.")
    return chosen, *known[chosen]


def check_choosable(design: Design) -> None:
    """Raise UsageError where the model of a design has no levels to choose between."""
    if not list_all_factors(design):
        raise UsageError(
            f"The model {design.specification.name} has no label column such as tier, so there is nothing to choose "
            "between. Fit the posts with a model that has one."
        )


def find_amount[Amount](amounts: Mapping[str, Amount], label: str) -> Amount | None:
    """Return the amount of a label; that of a level of the first factor stands for all its cells ("Micro:US").

    Labels may hold colons themselves: of several levels that a cell begins with the longest is taken.
    """
    if label in amounts:
        return amounts[label]
    levels = [level for level in amounts if label.startswith(f"{level}:")]
    return amounts[max(levels, key=len)] if levels else None


def _pick(amounts: Mapping[str, float], label: str, what: str) -> float:
    amount = find_amount(amounts, label)
    if amount is None:
        raise UsageError(f"no {what} for {label!r}. Found: {', '.join(amounts) or 'none'}.")
    if not (np.isfinite(amount) and amount >= 0):
        raise UsageError(f"the {what} of {label!r} is {amount:g}; amounts are 0 or more.")
    return float(amount)


def _spread_values(
    values: float | Mapping[str, float] | Mapping[str, FloatArray], labels: Sequence[str], shape: tuple[int, ...]
) -> FloatArray:
    if not isinstance(values, Mapping):
        return np.full((*shape, len(labels)), _pick({"all": values}, "all", "value of a conversion"))
    columns, by_label = [], dict[str, float | FloatArray](values)
    for label in labels:
        value = find_amount(by_label, label)
        if value is None or not (np.all(np.isfinite(value)) and np.all(np.asarray(value) >= 0)):
            raise UsageError(
                f"no value of a conversion (0 or more) for {label!r}. Found: {', '.join(values) or 'none'}."
            )
        columns.append(np.broadcast_to(value, shape))
    return np.stack(columns, axis=-1).astype(np.float64)


def parse_values(text: str) -> float | dict[str, float]:
    """Return the value of a conversion from "25" or "Mega=30,Micro=20".

    Raises
    ------
    UsageError
        A part is no number of 0 or more, or a level stands there twice.
    """
    parts = [part.strip().rpartition("=") for part in text.split(",")]
    try:
        found = [(label.strip(), float(amount)) for label, _, amount in parts]
    except ValueError:
        found = []
    labels = [label for label, _ in found]
    plain = labels == [""]
    if not found or any(not (0 <= amount < np.inf) for _, amount in found) or len(set(labels)) < len(labels):
        raise UsageError(
            f"--value-per-conversion {text!r}: write one amount (25), or one for each level (Mega=30,Micro=20)."
        )
    if "" in labels and not plain:
        raise UsageError(f"--value-per-conversion {text!r}: name the level of every amount (Mega=30,Micro=20).")
    return found[0][1] if plain else dict(found)


def parse_shares(text: str) -> dict[str, float]:
    """Return the planned shares from "US=60,EU=40"; they need not sum to 1.

    Raises
    ------
    UsageError
        A part has no label or no number of 0 or more, a label stands there twice, or all are 0.
    """
    parts = [part.strip().rpartition("=") for part in text.split(",")]
    try:
        found = [(label.strip(), float(share)) for label, _, share in parts]
    except ValueError:
        found = []
    shares = dict(found)
    wrong = any(not label or not (0 <= share < np.inf) for label, share in found)
    if wrong or len(shares) < len(found) or not sum(shares.values()) > 0:
        raise UsageError(f"--mix {text!r}: write a share of 0 or more for each region (US=60,EU=40); they are scaled.")
    return shares


def find_fees(fees: FloatArray, codes: Mapping[str, IntArray], levels: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return the mean fee of the posts of each label: levels of the first factor, and cells with a second one.

    A cell without a fee is filled with the mean fee of its first level; NaN fees are passed over.
    """
    names, found = list(levels), {}
    paid = np.isfinite(fees)
    for i, one in enumerate(levels[names[0]]):
        own = paid & (codes[names[0]] == i)
        if own.any():
            found[one] = float(fees[own].mean())
        for j, two in enumerate(levels[names[1]] if len(names) > 1 else ()):
            cell = own & (codes[names[1]] == j)
            if cell.any():
                found[f"{one}:{two}"] = float(fees[cell].mean())
    return found


def _count_posts(fit: Fit, variable: str, labels: Sequence[str]) -> FloatArray:
    names = variable.split(":") if ":" in variable and variable not in fit.design.levels else [variable]
    sizes = [len(fit.design.levels[name]) for name in names]
    flat = np.ravel_multi_index([fit.design.rows.codes[name] for name in names], sizes)
    return np.bincount(flat, minlength=len(labels)).astype(np.float64)
