"""Chooses the engine, runs it and says why. Every engine has one signature: design, draws, chains, seed, progress."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Protocol, get_args

from influbayes.errors import UsageError
from influbayes.hierarchy.design import Design
from influbayes.hierarchy.posterior import Fit
from influbayes.inference.nuts import Progress, sample_nuts

EngineName = Literal["auto", "nuts"]
ENGINES: tuple[str, ...] = get_args(EngineName)
MIN_CHAINS = 4


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


def fit_model(
    design: Design,
    *,
    engine: str = "auto",
    draws: int = 1000,
    chains: int = 4,
    seed: int = 20260101,
    progress: Progress | None = None,
) -> Fit:
    """Draw from the posterior of a design with the engine asked for.

    Parameters
    ----------
    design : Design
    engine : {"auto", "nuts"}
        "auto" takes the best engine there is: at present "nuts".
    draws, chains : int
        Draws per chain (at least 100) and chains (at least 4, so that R-hat can see what differs).
    seed : int
        Seed; not negative.
    progress : callable, optional
        Called with a text and the share done (0 to 1).

    Returns
    -------
    Fit
        `Fit.run` says which engine was asked for, which was used, and why.

    Raises
    ------
    UsageError
        Unknown engine, fewer than 4 chains, fewer than 100 draws, negative seed.
    SamplingFailed, Interrupted
        As the engine raises them.
    """
    check_settings(engine=engine, draws=draws, chains=chains, seed=seed)
    fit = sample_nuts(design, draws=draws, chains=chains, seed=seed, progress=progress)
    why = "asked for" if engine == "nuts" else "the engine that works for every specification"
    return replace(fit, run=replace(fit.run, name_asked=engine, why=why))


def check_settings(*, engine: str, draws: int, chains: int, seed: int) -> None:
    """Refuse settings that cannot give a trustworthy run, before any time is spent."""
    if engine not in ENGINES:
        raise UsageError(f"Unknown engine {engine!r}. Choose one of {', '.join(ENGINES)}.")
    if chains < MIN_CHAINS:
        raise UsageError(f"{chains} chains are too few to check convergence. Use --chains 4 or more.")
    if draws < 100:
        raise UsageError(f"{draws} draws a chain are too few. Use --draws 100 or more; 1000 is the default.")
    if seed < 0:
        raise UsageError(f"Seed {seed} is negative. Use a whole number from 0.")
