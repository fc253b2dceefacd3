"""The conversion study on one screen: a checked table in, a checked and written answer out.

Each step is a function of the room that owns it; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd

from influbayes.decisions.study import Request, leave_out_samples, make_choices
from influbayes.effects.averages import Averages, average_posts
from influbayes.effects.calibration_curve import estimate_calibration
from influbayes.effects.contrasts import estimate_effects, make_claims
from influbayes.effects.criticism import check_predictions
from influbayes.effects.estimands import Claim, Probability, estimate_probability
from influbayes.effects.leave_one_out import estimate_loo
from influbayes.effects.model_comparison import Score, compare_specifications, cross_validate_shipped
from influbayes.errors import SamplingFailed
from influbayes.gate.adequacy import judge_loo, judge_predictions
from influbayes.gate.checks import Diagnostic
from influbayes.gate.wording import judge_probability
from influbayes.hierarchy.design import Design, build_design
from influbayes.hierarchy.posterior import Fit
from influbayes.hierarchy.spec import (
    Question,
    Specification,
    choose_spec,
    has_after_purchase,
    leave_out_after_purchase,
)
from influbayes.inference.engine import check_settings, fit_certified, fit_model
from influbayes.judging import diagnose, is_unreliable, judge_priors, judge_table
from influbayes.reporting.ahead import Ahead, Comparison, begin_nothing
from influbayes.reporting.results import (
    ConversionAnalysis,
    QuestionResult,
    collect_results,
    encode_results,
    list_facts,
)
from influbayes.tables.posts import PostsTable

Report = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a study is run: engine, draws a chain, chains, seed, mass of the intervals."""

    engine: str = "auto"
    draws: int = 1000
    chains: int = 4
    seed: int = 20260101
    prob: float = 0.9


def analyse_posts(
    posts: PostsTable,
    spec: Specification | None = None,
    *,
    choice: str | None = None,
    settings: Settings | None = None,
    command: str = "",
    progress: Report | None = None,
    ahead: Ahead | None = None,
) -> ConversionAnalysis:
    """Answer the conversion study's questions from a table of posts.

    Parameters
    ----------
    posts : PostsTable
        From `read_posts`.
    spec : Specification, optional
        By default the shipped one that fits the table (`choose_spec`).
    choice : str, optional
        Sentence that says why this specification; by default written here.
    settings : Settings, optional
        Engine, draws, chains, seed, interval mass.
    command : str
        What the user typed, for the provenance.
    progress : callable, optional
        Called with a text and the share done (0 to 1).
    ahead : Ahead, optional
        Begins on other cores what the report will need; by default nothing.

    Returns
    -------
    ConversionAnalysis
        Estimates, claims and verdicts of each question. Withheld conclusions are marked, not missing.

    Raises
    ------
    DataRefused, UsageError, SamplingFailed, Interrupted
        As the rooms raise them.

    Examples
    --------
    >>> analysis = analyse_posts(read_posts("posts.csv"))  # doctest: +SKIP
    """
    chosen = settings or Settings()
    check_settings(engine=chosen.engine, draws=chosen.draws, chains=chosen.chains, seed=chosen.seed)
    if spec is None:
        spec, choice = choose_spec(posts)
    designs = build_designs(posts, spec)
    beside = ahead or begin_nothing()
    beside.begin_regressions(designs, posts, prob=chosen.prob)
    beside.begin_fits(designs[1:], lambda later: _fit_ahead(later, chosen))
    fitted = [_fit_until_sure(design, chosen, progress, beside.take_fit(design)) for design in designs]
    fits = [found[0] for found in fitted]
    beside.begin_fit_plots(fits)
    refit = _find_refit(fits, chosen)
    if refit is not None:
        beside.begin_comparison(lambda: _compare_models(posts, _build_plain(posts, fits), refit))
    questions = tuple(_answer(*found, posts, settings=chosen, progress=progress) for found in fitted)
    analysis = ConversionAnalysis(
        posts=replace(posts, notices=(*posts.notices, *_merge_notices(designs))),
        questions=questions,
        choice=choice or f"The specification {spec.name} was asked for.",
        prob=chosen.prob,
        seed=chosen.seed,
        command=command,
    )
    beside.begin_answer_plots(analysis)
    return analysis


def build_designs(posts: PostsTable, spec: Specification) -> tuple[Design, ...]:
    """Return the design of each question a specification answers; DataRefused says what keeps it from being fitted."""
    return tuple(build_design(posts, part, question=question) for question, part in split_questions(spec))


def add_choices(
    analysis: ConversionAnalysis,
    request: Request | None = None,
    *,
    refit: Callable[[Design], Fit] | None = None,
    ahead: Ahead | None = None,
) -> ConversionAnalysis:
    """Return the analysis with what can be chosen from it: premium, information, regressions beside the model.

    With `refit`, a quick engine, the shipped specifications are compared and creators left out by fits of their own;
    where the request asks for folds, they are cross-validated too.
    """
    fits = [question.fit for question in analysis.questions]
    posts, plain = analysis.posts, None
    scores: Sequence[Score] = ()
    exact: tuple[Score, ...] = ()
    if refit is not None:
        design = _build_plain(posts, fits)
        compared = None if ahead is None else ahead.take_comparison(design)
        scores, plain = compared or _compare_models(posts, design, refit)
        if request is not None and request.folds is not None:
            with suppress(SamplingFailed):
                exact = cross_validate_shipped(posts, refit=refit, folds=request.folds, seed=analysis.seed)
    choices = make_choices(
        fits,
        posts,
        request=request,
        prob=analysis.prob,
        seed=analysis.seed,
        without_creators=plain,
        comparison=tuple(scores),
        cross_validated=exact,
        regressions=None if ahead is None else ahead.take_regressions(),
    )
    return replace(analysis, choices=choices)


def _build_plain(posts: PostsTable, fits: Sequence[Fit]) -> Design | None:
    """Return the design as bought without the levels that are a sample, such as creators; None where there are none."""
    bought = next(fit.design for fit in fits if fit.design.question == "as_bought")
    if all(term.levels == "all" for term in bought.factors):
        return None
    return build_design(posts, leave_out_samples(bought.specification), question="as_bought")


def _compare_models(posts: PostsTable, plain: Design | None, refit: Callable[[Design], Fit]) -> Comparison:
    """Compare the shipped specifications and fit the one without creators, which mostly is among them."""
    scores = compare_specifications(posts, refit=refit)
    if plain is not None:
        with suppress(SamplingFailed):
            return scores, refit(plain)
    return scores, None


def find_quick_refit(analysis: ConversionAnalysis, settings: Settings) -> Callable[[Design], Fit] | None:
    """Return how to fit once more where the study's engine is quick enough for refits; None for nuts.

    A model of the same posts that was fitted already, in the study or by an earlier call, is not fitted again; fits of
    part of the posts, as folds are, are not kept.
    """
    return _find_refit([question.fit for question in analysis.questions], settings)


def _find_refit(fits: Sequence[Fit], settings: Settings) -> Callable[[Design], Fit] | None:
    if fits[0].run.name_used != "laplace":
        return None
    known = {_name_model(fit.design): fit for fit in fits}
    whole = len(fits[0].design.lines)

    def draw(design: Design) -> Fit:
        return fit_model(design, engine="laplace", draws=settings.draws, chains=settings.chains, seed=settings.seed)

    def refit(design: Design) -> Fit:
        if len(design.lines) < whole:
            return draw(design)
        model = _name_model(design)
        if model not in known:
            known[model] = draw(design)
        return known[model]

    return refit


def _name_model(design: Design) -> tuple[object, ...]:
    """Return what tells the models of one table apart: outcome, priors and terms."""
    spec = design.specification
    return (spec.outcome, spec.intercept, design.numerics, design.factors, design.interactions)


def split_questions(spec: Specification) -> tuple[tuple[Question, Specification], ...]:
    """Return the questions a specification answers, with the model of each; never one model for two questions."""
    if not has_after_purchase(spec):
        return (("as_bought", spec),)
    return (("engagement_constant", spec), ("as_bought", leave_out_after_purchase(spec)))


def answer_question(
    design: Design, posts: PostsTable, *, settings: Settings, progress: Report | None = None
) -> QuestionResult:
    """Fit one question and judge it: draws, estimates, claims, predictive checks, sensitivity."""
    return _answer(*_fit_until_sure(design, settings, progress), posts, settings=settings, progress=progress)


def _answer(
    fit: Fit,
    claims: tuple[Claim, ...],
    probabilities: dict[str, Probability],
    posts: PostsTable,
    *,
    settings: Settings,
    progress: Report | None,
) -> QuestionResult:
    design = fit.design
    _tell(progress, "estimating effects")
    averages = average_posts(fit)
    effects = estimate_effects(fit, prob=settings.prob, averages=averages)
    _tell(progress, "checking predictions")
    loo = estimate_loo(fit)
    checks = check_predictions(fit, seed=settings.seed, creators=_list_creators(posts, design))
    diagnostics = (
        *diagnose(fit, effects),
        *judge_predictions(checks, question=design.question),
        judge_loo(loo, question=design.question),
        *judge_table(design),
        *(judge_probability(name, value, question=design.question) for name, value in probabilities.items()),
    )
    _tell(progress, "checking the priors")
    return QuestionResult(
        fit=fit,
        effects=effects,
        claims=claims,
        probabilities=probabilities,
        checks=checks,
        calibration=estimate_calibration(fit, seed=settings.seed, loo=loo),
        diagnostics=(*diagnostics, *(() if is_unreliable(diagnostics) else _judge_priors(averages, settings))),
    )


def write_report(analysis: ConversionAnalysis, out: str | Path, *, overwrite: bool = False) -> Path:
    """Write the run folder of an analysis, whole or not at all.

    Parameters
    ----------
    analysis : ConversionAnalysis
    out : path
        The folder to make.
    overwrite : bool
        Replace `out` if it holds exactly an earlier run.

    Returns
    -------
    Path
        The folder: report.html, results.json, posterior.nc, plots/, spec.toml, MANIFEST.json.

    Raises
    ------
    OutputError
        The folder exists, or could not be written; an earlier run is left as it was.
    """
    from influbayes.reporting.run_folder import publish_run, reserve_run

    results = collect_results(analysis, mermaid=draw_model(analysis))
    with reserve_run(out, overwrite=overwrite) as place:
        return publish_run(place, make_files(analysis, results), facts=list_facts(results))


def make_files(
    analysis: ConversionAnalysis, results: Mapping[str, Any], *, ahead: Ahead | None = None
) -> dict[str, Any]:
    """Return the files of a run folder: name -> bytes, or a function that writes to a path."""
    from influbayes.hierarchy.spec import render_spec
    from influbayes.reporting.html import render_report
    from influbayes.reporting.plots import list_plots

    beside = ahead or begin_nothing()
    images = beside.finish_plots(list_plots(results, analysis))
    return {
        "results.json": encode_results(results),
        "report.html": render_report(results, images).encode("utf-8"),
        "spec.toml": render_spec(analysis.questions[0].fit.design.specification).encode("utf-8"),
        **beside.write_posteriors([question.fit for question in analysis.questions]),
        **{f"plots/{name}.png": image for name, image in images.items()},
    }


def draw_model(analysis: ConversionAnalysis) -> str | None:
    """Return the first question's model as mermaid text where PyMC was used, so that it is not loaded for a picture."""
    fit = analysis.questions[0].fit
    if fit.run.name_used != "nuts":
        return None
    from influbayes.hierarchy.model import describe_model

    return describe_model(fit.design)


def _fit_until_sure(
    design: Design, settings: Settings, progress: Report | None, first: Fit | None = None
) -> tuple[Fit, tuple[Claim, ...], dict[str, Probability]]:
    """Fit; where the draws cannot word a comparison of levels, fit once more with four times the draws.

    Other statements (a step, which is best) take the weaker word instead: they do not decide what is bought.
    """
    draws = settings.draws
    while True:
        fit = first or fit_model(
            design, engine=settings.engine, draws=draws, chains=settings.chains, seed=settings.seed, progress=progress
        )
        first = None
        claims = make_claims(fit)
        probabilities = {claim.id: estimate_probability(claim.margin) for claim in claims}
        compared = [claim.id for claim in claims if claim.kind == "beats"]
        verdicts = [judge_probability(name, probabilities[name], question=design.question) for name in compared]
        if fit.run.draws > settings.draws or all(verdict.status == "pass" for verdict in verdicts):
            return fit, claims, probabilities
        draws = 4 * settings.draws


def _fit_ahead(design: Design, settings: Settings) -> Fit | None:
    return fit_certified(
        design, engine=settings.engine, draws=settings.draws, chains=settings.chains, seed=settings.seed
    )


def _judge_priors(averages: Averages, settings: Settings) -> tuple[Diagnostic, ...]:
    """Halve and double every prior scale, on the draws that averages are made from."""
    thinned = averages.population.fit
    claims = make_claims(thinned, averages=averages)
    return judge_priors(
        thinned, claims, make_claims=make_claims, engine=settings.engine, draws=settings.draws, seed=settings.seed
    )


def _merge_notices(designs: tuple[Design, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(notice for design in designs for notice in design.notices))


def _list_creators(posts: PostsTable, design: Design) -> npt.NDArray[Any] | None:
    """Return the creator of every row in the design's order, where the table has creators and the model does not."""
    if "Creator_ID" not in posts.frame or "Creator_ID" in design.levels:
        return None
    return posts.frame.set_index("line")["Creator_ID"].reindex(pd.Index(design.lines)).to_numpy()


def _tell(progress: Report | None, text: str) -> None:
    if progress is not None:
        progress(text, 0.0)
