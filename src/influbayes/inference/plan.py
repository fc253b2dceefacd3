"""Where to expand the likelihood and how to propose scales: the search that makes a proposal for a model.

Takes a likelihood and priors, gives expansions and a density of the log scales. Looks for where the mass of the scales
is with the quadratic of one point, then expands at as many points as the rows allow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from influbayes.hierarchy.design import FloatArray
from influbayes.inference.densities import Defended, Density, NoScales, fit_mixture, fit_warped, make_grid
from influbayes.inference.expansion import Expansions, condition, evaluate_marginal, expand_at
from influbayes.inference.likelihood import Likelihood
from influbayes.inference.scales import Prior

PRIOR_SHARE = 0.05
MOST_GRID_SCALES = 3
_OFFSETS = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.5, 8.0, 12.0, 18.0, 27.0, 40.0])
_DEPTH = 12.0
_BUDGET = 400_000
_MOST_POINTS = {1: 15, 2: 8, 3: 5}
_WALKERS, _WALK_STEPS, _WALK_BURN, _PARTS = 100, 160, 60, 8
_LARGEST_SD = 1.5
_SMALLEST_STEP = 0.01

Value = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Expansions and the density of the log scales that go with them."""

    expansions: Expansions
    scales: Density


def make_plan(likelihood: Likelihood, prior: Prior, rng: np.random.Generator, *, work: int) -> Plan:
    """Find where the posterior is and return what to propose from.

    Parameters
    ----------
    likelihood, prior
        The model.
    rng : Generator
        Only used for more than three scales.
    work : int
        Cost of one expansion, in rows; it limits at how many points the likelihood is expanded.
    """
    phi = prior.find_medians()
    if prior.population is not None:
        phi, start = _locate_population(likelihood, prior, phi, prior.population)
    else:
        start = np.asarray(prior.mean)
    expansions = expand_at(likelihood, prior, phi[None], start=start, axis=prior.population)
    if not len(phi):
        return Plan(expansions=expansions, scales=NoScales())
    phi, expansions = _settle_mode(likelihood, prior, phi, expansions)
    if prior.population is not None:
        expansions = _expand_population(likelihood, prior, phi, expansions, prior.population)
    if len(phi) > MOST_GRID_SCALES:
        return _plan_mixture(likelihood, prior, rng, phi, expansions)
    return _plan_grid(likelihood, prior, phi, expansions, work)


def _defend(prior: Prior, main: Density) -> Density:
    return Defended(
        main=main, share=PRIOR_SHARE, draw_other=prior.draw_scales, log_density_other=prior.log_density_scales
    )


# --- modes of the scales ---------------------------------------------------------------------------------------------


def _settle_mode(
    likelihood: Likelihood, prior: Prior, phi: FloatArray, expansions: Expansions
) -> tuple[FloatArray, Expansions]:
    """Move to the mode of the Laplace marginal and expand there; the scale of the population stays where it is."""
    free = [k for k in range(len(phi)) if k != prior.population]
    for _ in range(4):
        before = phi
        phi = _climb(lambda points, e=expansions: evaluate_marginal(e, prior, points), phi, free)  # type: ignore[misc]
        expansions = expand_at(likelihood, prior, phi[None], start=expansions.mode[0], axis=prior.population)
        if np.abs(phi - before).max(initial=0.0) < 0.3:
            break
    return phi, expansions


def _climb(value: Value, phi: FloatArray, free: list[int]) -> FloatArray:
    """Return the highest point found by scanning one log scale after the other, three times, finer each time."""
    for reach in (5.0, 1.5, 0.4):
        for k in free:
            points = np.tile(phi, (25, 1))
            points[:, k] += np.linspace(-reach, reach, 25)
            phi = points[int(value(points).argmax())]
    return phi


def _place_nodes(value: Value, phi: FloatArray, k: int) -> FloatArray:
    """Return nodes for log scale k from the mode outwards, until the value has fallen by 12."""
    along = _point_along(phi, k)
    top, sd = float(value(phi[None])[0]), _measure_sd(value, phi, k)
    left = _reach(value(along(phi[k] - sd * _OFFSETS)), top)
    right = _reach(value(along(phi[k] + sd * _OFFSETS)), top)
    return np.concatenate((phi[k] - sd * _OFFSETS[:left][::-1], phi[k : k + 1], phi[k] + sd * _OFFSETS[:right]))


def _point_along(phi: FloatArray, k: int) -> Callable[[FloatArray], FloatArray]:
    def along(values: FloatArray) -> FloatArray:
        points = np.tile(phi, (len(values), 1))
        points[:, k] = values
        return points

    return along


def _reach(values: FloatArray, top: float) -> int:
    """Return how many of the outward values to keep: up to the first that lies 12 below the top."""
    low = np.flatnonzero(values < top - _DEPTH)
    return int(low[0]) + 1 if len(low) else len(values)


def _measure_sd(value: Value, phi: FloatArray, k: int) -> float:
    """Return half the distance between the points where the value has fallen by 1/2, at most 1.5."""
    steps = np.geomspace(0.002, 4.0, 40)
    along = _point_along(phi, k)
    top = float(value(phi[None])[0])
    sides = [value(along(phi[k] + sign * steps)) < top - 0.5 for sign in (-1.0, 1.0)]
    widths = [steps[int(side.argmax())] if side.any() else 4.0 for side in sides]
    return float(min(np.mean(widths), 1.3 * min(widths), _LARGEST_SD))


# --- the population's scale ------------------------------------------------------------------------------------------


def _locate_population(
    likelihood: Likelihood, prior: Prior, phi: FloatArray, axis: int
) -> tuple[FloatArray, FloatArray]:
    """Find the mode of the population's log scale, the other scales at their prior medians, by Newton at few points."""
    found: dict[float, tuple[float, FloatArray]] = {}
    start = np.asarray(prior.mean)

    def look(at: float) -> float:
        if at not in found:
            near = min(found, key=lambda known: abs(known - at), default=None)
            point = np.where(np.arange(len(phi)) == axis, at, phi)[None]
            made = expand_at(likelihood, prior, point, start=start if near is None else found[near][1], axis=axis)
            found[at] = (float(condition(made, prior, point).value[0]), made.mode[0])
        return found[at][0]

    best = _climb_along(look, float(phi[axis]))
    return np.where(np.arange(len(phi)) == axis, best, phi), found[best][1]


def _climb_along(look: Callable[[float], float], start: float) -> float:
    """Return about where `look` is highest: steps uphill, then to the vertex of the parabola through three points."""
    best, step = start, 0.8
    for _ in range(30):
        around = {at: look(at) for at in (best - step, best, best + step)}
        highest = max(around, key=lambda at: around[at])
        if highest != best:
            best = highest
            continue
        low, high = around[best - step] - around[best], around[best + step] - around[best]
        bend = low + high
        vertex = best + (0.5 * step * (low - high) / bend if bend < 0 else 0.0)
        best = vertex if look(vertex) > around[best] else best
        width = step / np.sqrt(-bend) if bend < 0 else np.inf
        if width > step or step < _SMALLEST_STEP:
            break
        step = max(width, step / 8.0)
    return best


def _expand_population(
    likelihood: Likelihood, prior: Prior, phi: FloatArray, middle: Expansions, axis: int
) -> Expansions:
    """Expand at nodes of the population's log scale, from its mode outwards, until the marginal has fallen by 12."""
    made = {float(phi[axis]): middle}

    def look(at: float) -> float:
        if at not in made:
            near = made[min(made, key=lambda known: abs(known - at))]
            point = np.where(np.arange(len(phi)) == axis, at, phi)[None]
            made[at] = expand_at(likelihood, prior, point, start=near.mode[0], axis=axis)
        return float(condition(made[at], prior, made[at].phi).value[0])

    centre = float(phi[axis])
    top, sd = look(centre), _find_population_sd(look, centre)
    for sign in (-1.0, 1.0):
        for offset in _OFFSETS:
            if look(centre + sign * sd * offset) < top - _DEPTH:
                break
    return _join([made[at] for at in sorted(made)], axis)


def _find_population_sd(look: Callable[[float], float], centre: float) -> float:
    """Return the sd of the log scale by the fall of the marginal to the sides of its mode."""
    sd = 0.4
    for _ in range(6):
        fall = 2.0 * look(centre) - look(centre - sd) - look(centre + sd)
        new = sd / np.sqrt(max(fall, 0.05))
        if 0.5 < new / sd < 2.0:
            return float(min(new, 1.0))
        sd = float(np.clip(new, sd / 8.0, min(4.0 * sd, 1.0)))
    return sd


def _join(parts: list[Expansions], axis: int) -> Expansions:
    return Expansions(
        phi=np.concatenate([part.phi for part in parts]),
        mode=np.concatenate([part.mode for part in parts]),
        curvature=np.concatenate([part.curvature for part in parts]),
        linear=np.concatenate([part.linear for part in parts]),
        constant=np.concatenate([part.constant for part in parts]),
        decrement=np.concatenate([part.decrement for part in parts]),
        axis=axis,
    )


# --- up to three scales: a grid --------------------------------------------------------------------------------------


def _plan_grid(likelihood: Likelihood, prior: Prior, phi: FloatArray, expansions: Expansions, work: int) -> Plan:
    if prior.population is None:
        per_axis = min(_MOST_POINTS[len(phi)], int((_BUDGET / max(work, 1)) ** (1.0 / len(phi))))
        for _ in range(2 if per_axis > 1 else 0):
            axes = _place_axes(prior, phi, expansions)
            points = np.array(list(product(*[_thin(axis, per_axis) for axis in axes])))
            expansions = expand_at(likelihood, prior, points, start=expansions.mode[expansions.find_nearest(points)])
            phi = _climb(lambda at, e=expansions: evaluate_marginal(e, prior, at), phi, list(range(len(phi))))  # type: ignore[misc]
    axes = _place_axes(prior, phi, expansions)
    nodes = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    main = make_grid(axes, evaluate_marginal(expansions, prior, nodes))
    return Plan(expansions=expansions, scales=_defend(prior, main))


def _place_axes(prior: Prior, phi: FloatArray, expansions: Expansions) -> tuple[FloatArray, ...]:
    def value(points: FloatArray) -> FloatArray:
        return evaluate_marginal(expansions, prior, points)

    return tuple(
        expansions.phi[:, k] if k == prior.population else _place_nodes(value, phi, k) for k in range(len(phi))
    )


def _thin(axis: FloatArray, count: int) -> FloatArray:
    """Return at most `count` of the inner nodes, spread evenly."""
    inner = axis[1:-1] if len(axis) > count + 2 else axis
    return np.asarray(inner[np.unique(np.linspace(0, len(inner) - 1, count).round().astype(int))])


# --- more than three scales: a mixture of t --------------------------------------------------------------------------


def _plan_mixture(
    likelihood: Likelihood, prior: Prior, rng: np.random.Generator, phi: FloatArray, expansions: Expansions
) -> Plan:
    visited = _walk(lambda points: evaluate_marginal(expansions, prior, points), prior, rng, phi)
    if prior.population is None:
        centres = fit_mixture(visited, parts=_PARTS).centres
        expansions = expand_at(likelihood, prior, centres, start=expansions.mode[0])
        visited = _walk(lambda points: evaluate_marginal(expansions, prior, points), prior, rng, phi)
    return Plan(expansions=expansions, scales=_defend(prior, fit_warped(visited)))


def _walk(value: Value, prior: Prior, rng: np.random.Generator, phi: FloatArray) -> FloatArray:
    """Return points of a short random walk of 100 walkers on the Laplace marginal of the log scales."""
    size = len(phi)
    candidates = np.vstack((prior.draw_scales(rng, 20 * _WALKERS), phi + 0.3 * rng.standard_normal((_WALKERS, size))))
    heights = value(candidates)
    weights = np.cumsum(np.exp(0.5 * (heights - heights.max())))
    at = np.searchsorted(weights, rng.random(_WALKERS) * weights[-1])
    points, height = candidates[at], heights[at]
    visited = []
    for step in range(_WALK_STEPS):
        pair = points[rng.permutation(_WALKERS)] - points[rng.permutation(_WALKERS)]
        stride = 1.0 if step % 10 == 9 else 1.68 / np.sqrt(size)
        trial = points + stride * pair + 0.05 * rng.standard_normal(points.shape)
        new = value(trial)
        good = np.log(rng.random(_WALKERS)) < new - height
        points, height = np.where(good[:, None], trial, points), np.where(good, new, height)
        if step >= _WALK_BURN:
            visited.append(points)
    return np.concatenate(visited)
