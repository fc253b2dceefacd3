"""Draws by NUTS: the PyMC model sampled by nutpie. The reference engine; works for every specification.

A model is compiled once for its shape and given other data for refits. Attempts climb a short ladder (`rungs`): more
draws where the effective sample size falls short, smaller steps where there are divergences. Nothing is judged here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from influbayes.errors import Interrupted, SamplingFailed
from influbayes.hierarchy.coding import code_design, coords_of
from influbayes.hierarchy.design import Design, FloatArray, Scaler
from influbayes.hierarchy.model import build_model, collect_data, sampled_names
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.inference.convergence import find_worst_convergence

Progress = Callable[[str, float], None]

TUNE = 1000
STATISTICS = ("diverging", "energy", "maxdepth_reached", "logp", "n_steps")
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One attempt: its settings and what it gave (worst R-hat and ESS over all model variables)."""

    target_accept: float
    draws: int
    tune: int
    divergences: int
    rhat: float
    ess_bulk: float
    ess_tail: float

    @property
    def is_short(self) -> bool:
        """Whether R-hat or ESS fall short; not-a-number counts as short."""
        return not (self.rhat <= 1.01 and self.ess_bulk >= 400 and self.ess_tail >= 400)


def sample_nuts(
    design: Design, *, draws: int = 1000, chains: int = 4, seed: int = 20260101, progress: Progress | None = None
) -> Fit:
    """Draw from the posterior of a design with NUTS.

    Parameters
    ----------
    design : Design
    draws, chains : int
        Draws per chain and number of chains asked for. An attempt may keep four times the draws; `Fit.run.draws`
        says.
    seed : int
        Same seed, table and versions give the same draws, whatever the number of cores. Where an earlier fit of this
        process left a model with more numeric terms, that one is used: the same posterior, other draws.
    progress : callable, optional
        Called with a text and the share done (0 to 1).

    Returns
    -------
    Fit

    Raises
    ------
    SamplingFailed
        No chain could be started.
    Interrupted
        Ctrl-C; nothing is returned.
    """
    start = time.perf_counter()
    rungs: list[Rung] = []
    settings: dict[str, Any] = {"target_accept": 0.95, "draws": draws, "tune": TUNE}
    compiled = compile_design(design, progress)
    while True:
        fit_draws, statistics = _run(compiled, design, chains=chains, seed=seed, progress=progress, **settings)
        rungs.append(_describe(fit_draws, statistics, **settings))
        higher = _climb(rungs, draws)
        if higher is None:
            break
        settings = higher
    run = EngineRun(
        name_asked="nuts",
        name_used="nuts",
        why="asked for",
        draws=rungs[-1].draws,
        chains=chains,
        seed=seed,
        seconds=time.perf_counter() - start,
        rungs=tuple(asdict(rung) for rung in rungs),
    )
    return Fit(design=design, draws=fit_draws, sample_stats=statistics, run=run)


def _climb(rungs: list[Rung], draws: int) -> dict[str, Any] | None:
    """Return the settings of the next attempt, or None where there is nothing left to try or nothing to mend."""
    last, small_steps = rungs[-1], any(rung.target_accept > 0.95 for rung in rungs)
    if last.divergences and not small_steps:
        return {"target_accept": 0.99, "draws": 4 * draws, "tune": 2 * TUNE}
    if last.is_short and last.draws == draws:
        return {"target_accept": last.target_accept, "draws": 4 * draws, "tune": TUNE}
    return None


# --- compiling -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shape:
    """What a compiled model is good for: numeric terms, factors with their numbers of levels, prior families."""

    numerics: tuple[str, ...]
    rest: tuple[Any, ...]


_compiled: dict[Shape, Any] = {}


def compile_design(design: Design, progress: Progress | None = None) -> Any:
    """Return a nutpie model holding the data of `design`; compiled once a shape within this process.

    A model compiled with more numeric terms serves as well: their columns are filled with zeros, which leaves the
    posterior of everything else as it is, and their draws are dropped.
    """
    shape = _shape_of(design)
    holder = shape if shape in _compiled else next((known for known in _compiled if _covers(known, shape)), None)
    if holder is None:
        _tell(progress, "compiling the model", 0.0)
        _compiled[shape] = _compile(design)
        return _compiled[shape]
    return _compiled[holder].with_data(**_fill(design, holder.numerics))


def _shape_of(design: Design) -> Shape:
    factors = tuple(
        (term.column, term.levels, len(design.levels[term.column]), term.scale_prior and term.scale_prior.family)
        for term in design.factors
    )
    pairs = tuple((pair.of, pair.scale_prior and pair.scale_prior.family) for pair in design.interactions)
    return Shape(design.numeric_names, (factors, pairs))


def _covers(known: Shape, wanted: Shape) -> bool:
    return known.rest == wanted.rest and set(known.numerics) >= set(wanted.numerics)


def _fill(design: Design, numerics: tuple[str, ...]) -> dict[str, Any]:
    """Return the data of `design` for a model with `numerics`, zeros in the columns the design does not have."""
    present = {name: k for k, name in enumerate(design.numeric_names)}
    if tuple(present) == numerics:
        return collect_data(design, code_design(design))
    terms = {term.column: term for term in design.numerics}
    missing = [name for name in numerics if name not in present]
    template = next(iter(terms.values()), None)
    filler = [replace(template, column=name) if template else _standard_term(name) for name in missing]
    padded = replace(
        design,
        numerics=tuple(terms.get(name) or filler[missing.index(name)] for name in numerics),
        scalers=tuple(design.scalers[present[n]] if n in present else _no_scaler() for n in numerics),
        rows=replace(
            design.rows,
            x=_pad(design.rows.x, present, numerics),
            raw=_pad(design.rows.raw, present, numerics),
        ),
    )
    return collect_data(padded, code_design(padded))


def _pad(columns: FloatArray, present: Mapping[str, int], numerics: tuple[str, ...]) -> FloatArray:
    zeros = np.zeros(len(columns))
    return np.column_stack([columns[:, present[name]] if name in present else zeros for name in numerics])


def _no_scaler() -> Scaler:
    return Scaler(transform="none", centre=0.0, scale=1.0)


def _standard_term(name: str) -> Any:
    from influbayes.hierarchy.spec import NormalPrior, NumericTerm

    return NumericTerm(column=name, transform="none", prior=NormalPrior(mean=0.0, sd=1.0))


def _compile(design: Design) -> Any:
    """Build and compile; `fastmath` off, else a cold and a warm cache give different draws."""
    import nutpie
    import pytensor

    with pytensor.config.change_flags(numba__fastmath=False):
        return nutpie.compile_pymc_model(build_model(design), var_names=list(sampled_names(design)), backend="numba")


# --- running ---------------------------------------------------------------------------------------------------------


def _run(
    compiled: Any,
    design: Design,
    *,
    chains: int,
    seed: int,
    progress: Progress | None,
    draws: int,
    tune: int,
    target_accept: float,
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Sample once and return (draws by variable, statistics), each with leading (chain, draw)."""
    import nutpie

    try:
        sampler = nutpie.sample(
            compiled,
            draws=draws,
            tune=tune,
            chains=chains,
            cores=2,
            seed=seed,
            target_accept=target_accept,
            save_warmup=False,
            progress_bar=False,
            progress_callback=_count_draws(progress, chains * (draws + tune)),
            blocking=False,
        )
        _wait(sampler)
        tree = sampler.wait()
    except (RuntimeError, ValueError) as reason:
        raise SamplingFailed(f"The sampler could not start: {reason}") from reason
    posterior, statistics = tree["posterior"], tree["sample_stats"]
    names = list(coords_of(design).get("numeric", ()))
    return _pick_draws(posterior, design, names), {
        name: np.asarray(statistics[name].values, dtype=np.float64) for name in STATISTICS if name in statistics
    }


def _pick_draws(posterior: Any, design: Design, numerics: list[str]) -> dict[str, FloatArray]:
    picked = {}
    for name in sampled_names(design):
        values = posterior[name].sel(numeric=numerics) if name == "slope" else posterior[name]
        picked[name] = np.ascontiguousarray(values.values, dtype=np.float64)
    return picked


def _wait(sampler: Any) -> None:
    """Wait in short steps, so that Ctrl-C arrives here and not inside the sampler, which would return half a run."""
    try:
        while not _is_finished(sampler):
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt as stop:
        sampler.cancel()
        raise Interrupted("Stopped while sampling; nothing was written.") from stop


def _is_finished(sampler: Any) -> bool:
    """Ask nutpie whether the run is over; version 0.16 answers "not yet" with a TimeoutError."""
    try:
        return bool(sampler.is_finished)
    except TimeoutError:
        return False


def _count_draws(progress: Progress | None, total: int) -> Any:
    if progress is None:
        return None

    def report(chains: list[Any]) -> None:
        progress("sampling", min(1.0, sum(chain.finished_draws for chain in chains) / total))

    return report


def _tell(progress: Progress | None, text: str, share: float) -> None:
    if progress is not None:
        progress(text, share)


def _describe(sampled: Mapping[str, FloatArray], statistics: Mapping[str, FloatArray], **settings: Any) -> Rung:
    worst = find_worst_convergence(sampled)
    return Rung(
        divergences=int(np.nansum(statistics["diverging"])),
        rhat=worst.rhat,
        ess_bulk=worst.ess_bulk,
        ess_tail=worst.ess_tail,
        **settings,
    )
