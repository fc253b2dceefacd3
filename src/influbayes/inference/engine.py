"""Chooses the engine, runs it and says why. Every engine has one signature: design, draws, chains, seed, progress.

`laplace` is exact and takes a fraction of a second; `nuts` works for every specification. `auto` takes the first and,
if its certificate fails, the second; which was used and why stands in `Fit.run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from influbayes.errors import SamplingFailed, UsageError
from influbayes.hierarchy.design import Design
from influbayes.hierarchy.posterior import Fit
from influbayes.inference.certificate import is_certified
from influbayes.inference.laplace import sample_laplace
from influbayes.inference.nuts import Progress, sample_nuts

MIN_CHAINS = 4
MIN_DRAWS = 100
AUTO = "auto"


class Engine(Protocol):
    """What every engine looks like."""

    def __call__(
        self,
        design: Design,
        *,
        draws: int = 1000,
        chains: int = 4,
        seed: int = 20260101,
        progress: Progress | None = None,
    ) -> Fit:
        """Draw from the posterior of a design."""


def list_engines() -> tuple[str, ...]:
    """Return the names `--engine` takes."""
    return (AUTO, "laplace", "nuts")


def load_loops(design: Design) -> None:
    """Load the compiled loops that `laplace` needs for a design, so that copies of this process find them loaded."""
    if any(term.levels == "sample" for term in design.factors):
        from influbayes.inference.kernels import _exp

        _exp(1.0)  # numba reads most of its library at the first call of any loop


def fit_model(
    design: Design,
    *,
    engine: str = AUTO,
    draws: int = 1000,
    chains: int = 4,
    seed: int = 20260101,
    progress: Progress | None = None,
) -> Fit:
    """Draw from the posterior of a design with the engine asked for.

    Parameters
    ----------
    design : Design
    engine : {"auto", "laplace", "nuts"}
        "laplace" is exact independence Metropolis and certifies itself; "nuts" is PyMC with nutpie; "auto" takes
        "laplace" if its certificate passes, else "nuts".
    draws, chains : int
        Draws per chain (at least 100) and chains (at least 4, so that R-hat can see what differs).
    seed : int
        Seed; not negative. Same seed, table and versions give the same draws.
    progress : callable, optional
        Called with a text and the share done (0 to 1).

    Returns
    -------
    Fit
        `Fit.run` says which engine was asked for, which was used, and why. A "laplace" fit may be uncertified: its
        certificate says so and the gate withholds everything.

    Raises
    ------
    UsageError
        Unknown engine, fewer than 4 chains, fewer than 100 draws, negative seed.
    SamplingFailed, Interrupted
        As the engine raises them.
    """
    check_settings(engine=engine, draws=draws, chains=chains, seed=seed)
    if engine == "nuts":
        return _name(sample_nuts(design, draws=draws, chains=chains, seed=seed, progress=progress), engine, "asked for")
    try:
        exact = sample_laplace(design, draws=draws, chains=chains, seed=seed, progress=progress)
    except np.linalg.LinAlgError as reason:
        if engine == "laplace":
            raise SamplingFailed(f"The exact engine broke down ({reason}). Use --engine auto or nuts.") from reason
        certificate: Mapping[str, Any] = {}
        why = f"the exact engine broke down ({reason})"
    else:
        certificate = exact.run.certificate or {}
        if engine == "laplace":
            return _name(exact, engine, "asked for")
        if is_certified(certificate):
            return _name(exact, engine, f"certified: {say_certificate(certificate)}")
        why = f"the exact engine was not certified: {say_certificate(certificate)}"
    fit = sample_nuts(design, draws=draws, chains=chains, seed=seed, progress=progress)
    failed = {"engine": "laplace", "why": why, "certificate": dict(certificate)}
    return _name(replace(fit, run=replace(fit.run, rungs=(failed, *fit.run.rungs))), engine, why)


def fit_certified(design: Design, *, engine: str, draws: int, chains: int, seed: int) -> Fit | None:
    """Return what `fit_model` gives where the exact engine certifies itself; None where it would do anything else."""
    if engine == "nuts":
        return None
    fit = fit_model(design, engine="laplace", draws=draws, chains=chains, seed=seed)
    certificate = fit.run.certificate or {}
    if not is_certified(certificate):
        return None
    return fit if engine == "laplace" else _name(fit, engine, f"certified: {say_certificate(certificate)}")


def check_settings(*, engine: str, draws: int, chains: int, seed: int) -> None:
    """Refuse settings that cannot give a trustworthy run, before any time is spent."""
    if engine not in list_engines():
        raise UsageError(f"Unknown engine {engine!r}. Choose one of {', '.join(list_engines())}.")
    if chains < MIN_CHAINS:
        raise UsageError(f"{chains} chains are too few to check convergence. Use --chains 4 or more.")
    if draws < MIN_DRAWS:
        raise UsageError(f"{draws} draws a chain are too few. Use --draws 100 or more; 1000 is the default.")
    if seed < 0:
        raise UsageError(f"Seed {seed} is negative. Use a whole number from 0.")


def say_certificate(certificate: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what failed, or the share of accepted proposals where nothing did."""
    failed = [f"{name} {_show(entry)}" for name, entry in certificate.items() if not entry["passed"]]
    if failed or not certificate:
        return "; ".join(failed) or "it gave no certificate"
    acceptance = certificate.get("acceptance")
    return f"{acceptance['value']:.0%} of proposals accepted" if acceptance else "all its checks passed"


def _show(entry: Mapping[str, Any]) -> str:
    return f"{entry['value']:.3g} (limit {entry['threshold']:g})"


def _name(fit: Fit, asked: str, why: str) -> Fit:
    return replace(fit, run=replace(fit.run, name_asked=asked, why=why))
