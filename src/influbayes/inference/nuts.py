"""Draws by NUTS: the PyMC model's density, worked out by a loop of our own, sampled by nutpie. The reference engine.

The PyMC model says what the model is: before every run density and gradient are compared with its own, and a run whose
density differs is refused. Works for every specification, takes nothing from the exact engine. Attempts climb a short
ladder (`rungs`): more draws and a longer warm-up where the effective sample size falls short, smaller steps where there
are divergences. Nothing is judged here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from influbayes.errors import Interrupted, SamplingFailed
from influbayes.hierarchy.design import Design, FloatArray
from influbayes.hierarchy.model import evaluate_model
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.inference.convergence import find_worst_convergence
from influbayes.inference.packing import make_starts, name_draws, pack_design

Progress = Callable[[str, float], None]

TUNE = 500
"""Steps of a first attempt's warm-up; later attempts take twice and four times as many."""
STATISTICS = ("diverging", "energy", "maxdepth_reached", "logp", "n_steps")
POINT = "point"
COMPARED = 2
"""Points at which the density is compared with the PyMC model's before every run."""
TOLERANCE = 1e-8
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
        Same seed, table and versions give the same draws, whatever the number of cores and whatever was fitted before.
    progress : callable, optional
        Called with a text and the share done (0 to 1).

    Returns
    -------
    Fit

    Raises
    ------
    SamplingFailed
        No chain could be started, or the density is not the PyMC model's.
    Interrupted
        Ctrl-C; nothing is returned.
    """
    start = time.perf_counter()
    rungs: list[Rung] = []
    settings: dict[str, Any] = {"target_accept": 0.95, "draws": draws, "tune": TUNE}
    density = prepare_density(design, progress)
    while True:
        fit_draws, statistics = _run(density, design, chains=chains, seed=seed, progress=progress, **settings)
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
        return {"target_accept": 0.99, "draws": 4 * draws, "tune": 4 * TUNE}
    if last.is_short and last.draws == draws:
        return {"target_accept": last.target_accept, "draws": 4 * draws, "tune": 2 * TUNE}
    return None


# --- the density ------------------------------------------------------------------------------------------------------


def prepare_density(design: Design, progress: Progress | None = None) -> Any:
    """Return what nutpie samples from: the design's density as machine code, compared with the PyMC model's own.

    Raises
    ------
    SamplingFailed
        Density or gradient differ from those of the PyMC model, which says what the model is.
    """
    from influbayes.inference.kernels_gradient import compile_callbacks

    _tell(progress, "preparing the sampler", 0.0)
    words, start = pack_design(design), make_starts(design)
    compare_density(design, words)
    return _wrap(words, compile_callbacks(), start)


def compare_density(design: Design, words: FloatArray) -> None:
    """Refuse a packed design whose density or gradient are not the PyMC model's at points around the prior's centre."""
    from influbayes.inference.kernels_gradient import evaluate_point

    points = np.array([make_starts(design)(seed) for seed in range(COMPARED)])
    values, gradients = evaluate_model(design, points)
    for point, value, gradient in zip(points, values, gradients, strict=True):
        ours = np.empty(len(point))
        found = evaluate_point(words, words.view(np.int64), point, ours)
        close = np.isclose(found, value, rtol=TOLERANCE, atol=TOLERANCE)
        if not close or not np.allclose(ours, gradient, rtol=TOLERANCE, atol=TOLERANCE * np.abs(gradient).max()):
            raise SamplingFailed("The sampler's density is not that of the PyMC model. Please report this.")


def _wrap(words: FloatArray, callbacks: tuple[Any, Any], start: Callable[[int], FloatArray]) -> Any:
    """Return nutpie's own kind of compiled model around our callbacks; what it keeps of a draw is the point."""
    from nutpie.compile_pymc import CompiledPyMCModel

    size = len(start(0))
    density, keep = callbacks
    return CompiledPyMCModel(
        dims={},
        compiled_logp_func=density,
        compiled_expand_func=keep,
        initial_point_func=start,
        shared_data={},
        shared_var_keys={},
        user_data=words,
        n_expanded=size,
        shape_info=([POINT], [slice(0, size)], [(size,)]),
        logp_func=None,
        expand_func=None,
        _n_dim=size,
        _shapes={POINT: (size,)},
        _coords={},
    )


# --- running ---------------------------------------------------------------------------------------------------------


def _run(
    density: Any,
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
            density,
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
    return name_draws(design, np.asarray(posterior[POINT].values, dtype=np.float64)), {
        name: np.asarray(statistics[name].values, dtype=np.float64) for name in STATISTICS if name in statistics
    }


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
