"""NUTS: what a fit looks like, same seed same draws, PyMC's own draws, the ladder of attempts, interruption."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from influbayes.errors import Interrupted, SamplingFailed
from influbayes.hierarchy.coding import coords_of, dims_of
from influbayes.hierarchy.design import Design, build_design
from influbayes.hierarchy.posterior import Fit
from influbayes.inference import nuts
from influbayes.inference.convergence import estimate_ess_mean, stack_quantities
from influbayes.inference.nuts import Rung, sample_nuts
from influbayes.inference.packing import pack_design


def compare_moments(one: Fit, other: Fit, *, errors: float = 4.5) -> None:
    """Means within some Monte Carlo errors of each other, sds within 10 %."""
    a, b = stack_quantities(one.draws), stack_quantities(other.draws)
    variance = a.var(axis=(1, 2)) / estimate_ess_mean(a) + b.var(axis=(1, 2)) / estimate_ess_mean(b)
    assert (np.abs(a.mean(axis=(1, 2)) - b.mean(axis=(1, 2))) < errors * np.sqrt(variance)).all()
    np.testing.assert_allclose(a.std(axis=(1, 2)), b.std(axis=(1, 2)), rtol=0.1)


# --- a real sampler ---------------------------------------------------------------------------------------------------


@pytest.mark.nuts
def test_a_fit_holds_every_variable_with_its_dims(conversion_fit: Fit) -> None:
    fit = conversion_fit
    sizes = {name: len(labels) for name, labels in coords_of(fit.design).items()}
    shape = (fit.run.chains, fit.run.draws)
    assert shape[0] == 4
    assert shape[1] in (1000, 4000)
    assert list(fit.draws) == list(dims_of(fit.design))
    for name, dims in dims_of(fit.design).items():
        values = fit.draws[name]
        assert (values.shape, values.dtype) == ((*shape, *(sizes[dim] for dim in dims)), np.float64), name
        assert np.isfinite(values).all()
    for name in ("effect_Influencer_Tier", "effect_Audience_Region"):
        np.testing.assert_allclose(fit.draws[name].sum(axis=-1), 0, atol=1e-9)
    assert (fit.draws["scale_Influencer_Tier"] > 0).all()
    assert set(fit.sample_stats) == {"diverging", "energy", "maxdepth_reached", "logp", "n_steps"}
    assert {(values.shape, values.dtype) for values in fit.sample_stats.values()} == {(shape, np.dtype(np.float64))}


@pytest.mark.nuts
def test_a_fit_says_how_it_was_made(conversion_fit: Fit) -> None:
    run = conversion_fit.run
    assert (run.name_asked, run.name_used, run.seed, run.certificate) == ("nuts", "nuts", 11, None)
    assert run.seconds > 0
    assert run.rungs[0]["draws"] == 1000
    assert run.rungs[-1]["draws"] == run.draws
    assert set(run.rungs[0]) == {"target_accept", "draws", "tune", "divergences", "rhat", "ess_bulk", "ess_tail"}
    assert run.rungs[-1]["rhat"] <= 1.01
    assert run.rungs[-1]["divergences"] == 0


@pytest.mark.nuts
def test_chains_and_draws_are_as_asked_and_progress_is_told(conversion_fit: Fit, conversion_design: Design) -> None:
    told: list[tuple[str, float]] = []
    here = threading.Lock()

    def progress(text: str, share: float) -> None:
        with here:
            told.append((text, share))

    fit = sample_nuts(conversion_design, draws=400, chains=5, seed=2, progress=progress)
    assert fit.draws["slope"].shape == (5, fit.run.draws, 2)
    assert fit.run.draws in (400, 1600)
    assert {text for text, _ in told} == {"preparing the sampler", "sampling"}
    assert all(0 <= share <= 1 for _, share in told)


@pytest.mark.nuts
def test_same_seed_same_draws_whatever_the_order_of_the_rows(
    conversion_fit: Fit, sixty_posts: Any, conversion: Any
) -> None:
    shuffled = replace(sixty_posts, frame=sixty_posts.frame.sample(frac=1, random_state=1))
    again = sample_nuts(build_design(shuffled, conversion), draws=1000, chains=4, seed=11)
    other = sample_nuts(build_design(sixty_posts, conversion), draws=1000, chains=4, seed=12)
    for name, values in conversion_fit.draws.items():
        np.testing.assert_array_equal(again.draws[name], values, err_msg=name)
        assert other.draws[name].shape != values.shape or not np.array_equal(other.draws[name], values)


@pytest.mark.nuts
def test_draws_agree_with_the_pymc_model_sampled_by_compiled_pymc(
    bought_design: Design,
) -> None:
    import nutpie

    from influbayes.hierarchy.model import build_model

    names = list(dims_of(bought_design))
    theirs = nutpie.sample(
        nutpie.compile_pymc_model(build_model(bought_design), var_names=names, backend="numba"),
        draws=2000,
        chains=4,
        cores=2,
        seed=6,
        target_accept=0.95,
        progress_bar=False,
    )
    ours = sample_nuts(bought_design, draws=2000, seed=5)
    assert list(ours.draws) == names
    compare_moments(ours, replace(ours, draws={name: theirs["posterior"][name].values for name in names}))


@pytest.mark.nuts
def test_the_intercept_alone_agrees_with_quadrature(sixty_posts: Any, conversion: Any) -> None:
    design = build_design(sixty_posts, replace(conversion, numerics=(), factors=()))
    fit = sample_nuts(design, draws=2000, seed=3)
    grid = np.linspace(-8, 8, 20_001)
    converted, prior = design.conversions.sum(), conversion.intercept
    log_density = (
        converted * np.log(expit(grid))
        + (60 - converted) * np.log(expit(-grid))
        + norm.logpdf(grid, prior.mean, prior.sd)
    )
    weights = np.exp(log_density - log_density.max())
    weights /= weights.sum()
    mean = float(weights @ grid)
    sd = float(np.sqrt(weights @ (grid - mean) ** 2))
    draws = fit.draws["intercept"]
    assert abs(draws.mean() - mean) < 4 * sd / np.sqrt(estimate_ess_mean(draws[None])[0])
    assert draws.std() == pytest.approx(sd, rel=0.05)


# --- the density ------------------------------------------------------------------------------------------------------


def test_preparing_is_told(conversion_design: Design) -> None:
    told: list[tuple[str, float]] = []
    nuts.prepare_density(conversion_design, lambda text, share: told.append((text, share)))
    assert told == [("preparing the sampler", 0.0)]


@pytest.mark.parametrize("word", ["conversion", "prior"])
def test_a_density_that_is_not_the_models_is_refused(conversion_design: Design, word: str) -> None:
    """One conversion more, or another prior of the intercept, is noticed."""
    from influbayes.inference import kernels_gradient as layout

    words = pack_design(conversion_design)
    nuts.compare_density(conversion_design, words)
    at = layout.AT_CONVERSIONS if word == "conversion" else layout.AT_NORMAL
    words[words.view(np.int64)[at]] += 1e-4
    with pytest.raises(SamplingFailed, match=r"^The sampler's density is not that of the PyMC model\."):
        nuts.compare_density(conversion_design, words)


# --- the ladder -------------------------------------------------------------------------------------------------------


def rung(
    *, target: float = 0.95, draws: int = 1000, divergences: int = 0, rhat: float = 1.0, ess: float = 2000
) -> Rung:
    return Rung(
        target_accept=target, draws=draws, tune=1000, divergences=divergences, rhat=rhat, ess_bulk=ess, ess_tail=ess
    )


SMALL_STEPS = {"target_accept": 0.99, "draws": 4000, "tune": 2000}
MORE_DRAWS = {"target_accept": 0.95, "draws": 4000, "tune": 1000}


@pytest.mark.parametrize(
    ("rungs", "higher"),
    [
        ([rung()], None),
        ([rung(rhat=1.02)], MORE_DRAWS),
        ([rung(ess=399)], MORE_DRAWS),
        ([rung(rhat=np.nan)], MORE_DRAWS),
        ([rung(ess=np.nan)], MORE_DRAWS),
        ([rung(divergences=1)], SMALL_STEPS),
        ([rung(divergences=1, rhat=2.0)], SMALL_STEPS),
        ([rung(rhat=1.02), rung(draws=4000, rhat=1.02)], None),
        ([rung(rhat=1.02), rung(draws=4000, divergences=3)], SMALL_STEPS),
        ([rung(divergences=1), rung(target=0.99, draws=4000)], None),
        ([rung(divergences=1), rung(target=0.99, draws=4000, divergences=1, rhat=1.5)], None),
        ([rung(rhat=2), rung(draws=4000, divergences=3), rung(target=0.99, draws=4000, divergences=2)], None),
    ],
)
def test_ladder_of_attempts(rungs: list[Rung], higher: dict[str, Any] | None) -> None:
    assert nuts._climb(rungs, 1000) == higher


FakeRun = Callable[..., tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]


def run_with(behaviour: Callable[[dict[str, Any]], int]) -> tuple[FakeRun, list[dict[str, Any]]]:
    """A sampler that gives independent draws with as many divergences as `behaviour` says."""
    asked: list[dict[str, Any]] = []

    def run(density: Any, design: Design, **settings: Any) -> Any:
        asked.append({name: settings[name] for name in ("target_accept", "draws", "tune", "seed", "chains")})
        shape = (settings["chains"], settings["draws"])
        diverging = np.zeros(shape)
        diverging.flat[: behaviour(settings)] = 1
        return {"intercept": np.random.default_rng(1).normal(size=shape)}, {"diverging": diverging}

    return run, asked


def test_each_attempt_is_on_record(conversion_design: Design, monkeypatch: pytest.MonkeyPatch) -> None:
    run, asked = run_with(lambda settings: 3 if settings["target_accept"] < 0.99 else 0)
    monkeypatch.setattr(nuts, "prepare_density", lambda design, progress: None)
    monkeypatch.setattr(nuts, "_run", run)
    fit = sample_nuts(conversion_design, draws=500, chains=4, seed=9)
    assert asked == [
        {"target_accept": 0.95, "draws": 500, "tune": 500, "seed": 9, "chains": 4},
        {"target_accept": 0.99, "draws": 2000, "tune": 2000, "seed": 9, "chains": 4},
    ]
    assert [(entry["divergences"], entry["draws"]) for entry in fit.run.rungs] == [(3, 500), (0, 2000)]
    assert (fit.run.draws, fit.draws["intercept"].shape) == (2000, (4, 2000))


def test_divergences_that_stay_are_left_to_the_gate(conversion_design: Design, monkeypatch: pytest.MonkeyPatch) -> None:
    run, asked = run_with(lambda settings: 5)
    monkeypatch.setattr(nuts, "prepare_density", lambda design, progress: None)
    monkeypatch.setattr(nuts, "_run", run)
    fit = sample_nuts(conversion_design, draws=500)
    assert len(asked) == 2
    assert fit.sample_stats["diverging"].sum() == 5


# --- interruption and failure -----------------------------------------------------------------------------------------


class FakeSampler:
    """Answers `is_finished` from a list; an exception in it is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.cancelled = False

    @property
    def is_finished(self) -> bool:
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return bool(answer)

    def cancel(self) -> None:
        self.cancelled = True

    def wait(self) -> Any:
        raise AssertionError("half a run was taken")


def test_ctrl_c_stops_the_sampler_and_returns_nothing(
    conversion_design: Design, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nutpie

    sampler = FakeSampler(TimeoutError(), False, KeyboardInterrupt())
    monkeypatch.setattr(nuts, "prepare_density", lambda design, progress: None)
    monkeypatch.setattr(nutpie, "sample", lambda *a, **k: sampler)
    with pytest.raises(Interrupted, match=r"^Stopped while sampling; nothing was written\.$"):
        sample_nuts(conversion_design)
    assert sampler.cancelled


def test_waiting_ends_when_the_sampler_has_finished() -> None:
    sampler = FakeSampler(TimeoutError(), False, True)
    nuts._wait(sampler)
    assert not sampler.answers
    assert not sampler.cancelled


@pytest.mark.parametrize("reason", [RuntimeError("All initialization points failed"), ValueError("bad shape")])
def test_a_sampler_that_cannot_start_is_said(
    conversion_design: Design, monkeypatch: pytest.MonkeyPatch, reason: Exception
) -> None:
    import nutpie

    def fail(*arguments: Any, **settings: Any) -> None:
        raise reason

    monkeypatch.setattr(nuts, "prepare_density", lambda design, progress: None)
    monkeypatch.setattr(nutpie, "sample", fail)
    with pytest.raises(SamplingFailed) as caught:
        sample_nuts(conversion_design)
    assert str(caught.value) == f"The sampler could not start: {reason}"
    assert caught.value.exit_code == 4


def test_progress_counts_the_draws_of_all_chains() -> None:
    told: list[tuple[str, float]] = []
    report = nuts._count_draws(lambda text, share: told.append((text, share)), 400)
    report([SimpleNamespace(finished_draws=50), SimpleNamespace(finished_draws=150)])
    report([SimpleNamespace(finished_draws=300), SimpleNamespace(finished_draws=300)])
    assert told == [("sampling", 0.5), ("sampling", 1.0)]
    assert nuts._count_draws(None, 400) is None
