"""The attribution study on one screen: checked sessions in, credits by every rule, a model and a baseline out.

Each step is a function of the room that owns it; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from influbayes.attribution.approximation import HIERARCHICAL, make_learner
from influbayes.attribution.baseline import explain_trees, has_baseline, list_learners, score_minutes
from influbayes.attribution.credit import (
    REPLICATES,
    CreditTable,
    attribute_credit,
    compare_rules,
    find_spreads,
)
from influbayes.attribution.features import make_features
from influbayes.attribution.folds import try_models
from influbayes.attribution.history import keep_at_risk
from influbayes.attribution.holdout import check_over_time
from influbayes.attribution.journeys import LOOKBACK_DAYS, SignUps, summarise_journeys
from influbayes.attribution.rules import RULES, RuleOptions
from influbayes.attribution.signup import fit_to_sessions, make_rows, summarise_levels, summarise_spreads
from influbayes.attribution.terms import group_terms
from influbayes.attribution.truth import find_conflicts
from influbayes.gate.checks import decide_verdict
from influbayes.gate.convergence import judge_certificate, judge_convergence, judge_draws, judge_sampler
from influbayes.hierarchy.design import Design, build_design
from influbayes.hierarchy.posterior import Fit, save_fit
from influbayes.hierarchy.spec import Question, Specification, load_spec
from influbayes.inference.convergence import stack_quantities, summarise_quantities
from influbayes.inference.engine import fit_model
from influbayes.reporting.credit_results import (
    AttributionAnalysis,
    SignUpAnswer,
    TrialAnswer,
    collect_credit_results,
    list_credit_facts,
)
from influbayes.tables.session_quality import list_set_aside
from influbayes.tables.sessions import CHANNEL, SessionsTable

Report = Callable[[str, float], None]
FitModel = Callable[[Design], Fit]
OTHER_COLUMNS = ("utm_campaign", "page", "utm_source")
QUESTION: Question = "as_bought"
NO_BASELINE = 'The baseline was not tried: LightGBM is not installed. pip install "influbayes[ml]" brings it.'


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """How the study is run. `signup` and `baseline` say whether the model and the baseline are wanted."""

    options: RuleOptions = field(default_factory=RuleOptions)
    lookback_days: float = LOOKBACK_DAYS
    sign_ups: SignUps = "first"
    replicates: int = REPLICATES
    prob: float = 0.9
    seed: int = 20260101
    signup: bool = True
    baseline: bool = True
    folds: int = 5
    repeats: int = 3
    engine: str = "auto"
    draws: int = 1000
    chains: int = 4


def analyse_sessions(
    sessions: SessionsTable,
    spec: Specification | None = None,
    *,
    settings: SessionSettings | None = None,
    truth: Mapping[str, float] | None = None,
    truth_source: str = "the truth given",
    fit: FitModel | None = None,
    command: str = "",
    progress: Report | None = None,
) -> AttributionAnalysis:
    """Answer the attribution study's questions from a table of sessions.

    Parameters
    ----------
    sessions : SessionsTable
        From `read_sessions`.
    spec : Specification, optional
        The sign-up model; the shipped `signup` unless told.
    settings : SessionSettings, optional
    truth : mapping, optional
        Channel -> sign-ups it caused, from a simulation or an experiment.
    truth_source : str
        What the truth comes from, in words that follow "by".
    fit : callable, optional
        Makes a `Fit` of a design; `fit_model` with the settings unless told.
    command : str
        What the user typed, for the provenance.
    progress : callable, optional
        Called with a text and the share done (0 to 1).

    Returns
    -------
    AttributionAnalysis

    Raises
    ------
    UsageError, SamplingFailed, Interrupted
        As the rooms raise them.
    """
    chosen = settings or SessionSettings()
    tell = progress or (lambda text, share: None)
    model = spec or load_spec("signup")
    tell("sharing out credit", 0.0)
    table = _credit(sessions, CHANNEL, chosen, chosen.replicates)
    others = [name for name in OTHER_COLUMNS if name in sessions.labels and sessions.frame[name].nunique() > 1]
    tell("testing over time", 0.0)
    time_test = check_over_time(
        sessions, options=chosen.options, lookback_days=chosen.lookback_days, prob=chosen.prob, seed=chosen.seed
    )
    asked = keep_at_risk(sessions) if chosen.sign_ups == "first" else sessions
    signup = _answer_signup(asked, model, chosen, fit, tell) if chosen.signup else None
    trial = _answer_trial(asked, model, chosen, tell) if chosen.baseline else None
    skipped = [] if chosen.signup else ["The sign-up model was not fitted: not asked for."]
    skipped += [trial.reason] if trial is not None and trial.reason else []
    return AttributionAnalysis(
        sessions=sessions,
        table=table,
        others=tuple(_credit(sessions, name, chosen, 0) for name in others),
        summary=summarise_journeys(table.journeys),
        disagreements=compare_rules(table),
        spreads=find_spreads(table),
        time_test=time_test,
        conflicts=() if truth is None else find_conflicts(table, truth),
        truth_source=truth_source if truth is not None else "",
        intents=group_terms(sessions.frame["utm_term"]) if "utm_term" in sessions.frame else None,
        signup=signup,
        trial=trial,
        skipped=tuple(skipped),
        command=command,
    )


def _credit(sessions: SessionsTable, by: str, settings: SessionSettings, replicates: int) -> CreditTable:
    return attribute_credit(
        sessions,
        by=by,
        rules=RULES,
        options=settings.options,
        lookback_days=settings.lookback_days,
        sign_ups=settings.sign_ups,
        replicates=replicates,
        prob=settings.prob,
        seed=settings.seed,
    )


def _answer_signup(
    sessions: SessionsTable, spec: Specification, settings: SessionSettings, fit: FitModel | None, tell: Report
) -> SignUpAnswer:
    """Fit the sign-up model to the sessions and judge its draws."""
    adapted, left_out = fit_to_sessions(spec, sessions)
    design = build_design(make_rows(sessions, adapted), adapted, question=QUESTION)
    tell("fitting the sign-up model", 0.0)
    if fit is None:
        found = fit_model(
            design,
            engine=settings.engine,
            draws=settings.draws,
            chains=settings.chains,
            seed=settings.seed,
            progress=tell,
        )
    else:
        found = fit(design)
    diagnostics = judge_fit(found)
    return SignUpAnswer(
        fit=found,
        levels=summarise_levels(found, prob=settings.prob),
        spreads=summarise_spreads(found, prob=settings.prob),
        diagnostics=diagnostics,
        verdict=decide_verdict(diagnostics),
        left_out=left_out,
    )


def judge_fit(fit: Fit) -> tuple[Any, ...]:
    """Judge whether the draws of the sign-up model can be trusted: draws, R-hat, ESS, sampler or certificate."""
    table = summarise_quantities(stack_quantities(fit.draws), prob=0.5)
    names = [name for name, values in fit.draws.items() for _ in range(int(values[0, 0].size))]
    sampler = (
        judge_sampler(fit.sample_stats, question=QUESTION, engine=fit.run.name_used)
        if fit.run.certificate is None
        else judge_certificate(fit.run.certificate, question=QUESTION)
    )
    return (
        *judge_draws(fit.draws, chains_asked=fit.run.chains, draws_asked=fit.run.draws, question=QUESTION),
        *judge_convergence(names, table.rhat, table.ess_bulk, table.ess_tail, question=QUESTION),
        *sampler,
    )


def _answer_trial(
    sessions: SessionsTable, spec: Specification, settings: SessionSettings, tell: Report
) -> TrialAnswer | None:
    """Score baseline and hierarchical model on the same held-out users."""
    tell("trying models on held-out users", 0.0)
    features = make_features(sessions, set_aside=list_set_aside(dict(sessions.quality)))
    learners = {**list_learners(), HIERARCHICAL: make_learner(spec)}
    trial = try_models(
        features,
        learners,
        folds=settings.folds,
        repeats=settings.repeats,
        prob=settings.prob,
        seed=settings.seed,
    )
    there = has_baseline()
    return TrialAnswer(
        trial=trial,
        importances=explain_trees(features, seed=settings.seed) if there else (),
        minutes=score_minutes(features, seed=settings.seed) if there else None,
        left_out=features.left_out,
        reason="" if there else NO_BASELINE,
    )


def write_credit_report(
    analysis: AttributionAnalysis, out: str | Path, *, overwrite: bool = False, created: str | None = None
) -> Path:
    """Write the run folder of an attribution study, whole or not at all; return the folder.

    Raises
    ------
    OutputError
        The folder exists, or could not be written; an earlier run is left as it was.
    """
    from influbayes.reporting.run_folder import publish_run, reserve_run

    results = collect_credit_results(analysis, created=created)
    with reserve_run(out, overwrite=overwrite) as place:
        return publish_run(place, make_credit_files(analysis, results), facts=list_credit_facts(results))


def make_credit_files(analysis: AttributionAnalysis, results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the files of a run folder: name -> bytes, or a function that writes to a path."""
    from influbayes.hierarchy.spec import render_spec
    from influbayes.reporting.credit_page import render_credit_page
    from influbayes.reporting.credit_plots import draw_credit_plots
    from influbayes.reporting.plots import save_figure
    from influbayes.reporting.results import encode_results

    frame = analysis.sessions.frame
    images = {name: save_figure(figure) for name, figure in draw_credit_plots(results, frame).items()}
    files: dict[str, Any] = {
        "results.json": encode_results(results),
        "report.html": render_credit_page(results, images).encode("utf-8"),
        **{f"plots/{name}.png": image for name, image in images.items()},
    }
    if analysis.signup is not None:
        fit = analysis.signup.fit
        files["spec.toml"] = render_spec(fit.design.specification).encode("utf-8")
        files["posterior.nc"] = lambda path: save_fit(fit, path)
    return files
