"""The attribution study on one screen: checked sessions in, credits by every rule, a model and a baseline out.

Each step is a function of the room that owns it; nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from influbayes.attribution.baseline import CONSTANT, explain_trees, has_baseline, list_contenders, score_minutes
from influbayes.attribution.credit import (
    REPLICATES,
    CreditTable,
    attribute_credit,
    compare_rules,
    find_spreads,
)
from influbayes.attribution.features import make_features
from influbayes.attribution.folds import Contender, leave_out_model, try_models
from influbayes.attribution.hierarchical import HIERARCHICAL, make_learner
from influbayes.attribution.history import keep_at_risk
from influbayes.attribution.holdout import check_over_time
from influbayes.attribution.journeys import LOOKBACK_DAYS, SignUps, summarise_journeys
from influbayes.attribution.rules import RULES, RuleOptions
from influbayes.attribution.signup import (
    Doubling,
    LevelChance,
    fit_to_sessions,
    list_shown,
    make_claims,
    make_rows,
    summarise_levels,
    summarise_slopes,
    summarise_spreads,
)
from influbayes.attribution.terms import group_terms
from influbayes.attribution.truth import find_conflicts
from influbayes.effects.criticism import check_predictions, keep_every, thin_fit
from influbayes.effects.leave_one_out import estimate_loo
from influbayes.gate.adequacy import judge_loo, judge_predictions
from influbayes.gate.checks import Diagnostic, decide_verdict, list_withheld_cells, list_withheld_claims
from influbayes.gate.subjects import SESSIONS
from influbayes.gate.thresholds import UNDECIDED, band
from influbayes.hierarchy.design import Design, build_design
from influbayes.hierarchy.posterior import Fit, save_fit
from influbayes.hierarchy.spec import Question, Specification, load_spec
from influbayes.inference.certificate import is_certified
from influbayes.inference.engine import fit_model
from influbayes.judging import diagnose, is_unreliable, judge_priors, judge_table
from influbayes.reporting.credit_results import (
    AttributionAnalysis,
    SignUpAnswer,
    TrialAnswer,
    collect_credit_results,
    list_credit_facts,
)
from influbayes.tables.session_quality import list_set_aside
from influbayes.tables.sessions import CHANNEL, USER, SessionsTable

Report = Callable[[str, float], None]
FitModel = Callable[[Design], Fit]
OTHER_COLUMNS = ("utm_campaign", "page", "utm_source")
QUESTION: Question = "as_bought"
CHECKED_DRAWS = 1000
"""Draws for predictive checks and leave-one-out: enough for their limits, and sessions are many."""

MORE_DRAWS = 4

NOT_CERTIFIED = "The hierarchical model is not scored: {} of {} fits to training users were not certified."
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
    repeats: int = 2
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
    """Fit the sign-up model to the sessions at risk and judge it as every model is judged."""
    adapted, left_out = fit_to_sessions(spec, sessions)
    design = build_design(make_rows(sessions, adapted), adapted, question=QUESTION)
    tell("fitting the sign-up model", 0.0)
    found = fit(design) if fit is not None else _fit_until_mixed(design, settings, tell)
    levels = summarise_levels(found, prob=settings.prob)
    slopes = summarise_slopes(found, prob=settings.prob)
    tell("checking the sign-up model", 0.0)
    diagnostics = _judge_signup(found, (*levels, *slopes), sessions, settings)
    return SignUpAnswer(
        fit=found,
        levels=levels,
        slopes=slopes,
        spreads=summarise_spreads(found, prob=settings.prob),
        diagnostics=diagnostics,
        verdict=decide_verdict(diagnostics),
        withheld=_list_withheld(found, diagnostics),
        left_out=left_out,
    )


def _fit_until_mixed(design: Design, settings: SessionSettings, tell: Report) -> Fit:
    """Fit; where the draws are too few for their checks, fit once more with four times the draws, every fourth kept."""
    found = _fit(design, settings, settings.draws, tell)
    if not is_unreliable(diagnose(found)):
        return found
    again = _fit(design, settings, MORE_DRAWS * settings.draws, tell)
    return again if is_unreliable(diagnose(again)) else keep_every(again, MORE_DRAWS)


def _fit(design: Design, settings: SessionSettings, draws: int, tell: Report) -> Fit:
    return fit_model(
        design, engine=settings.engine, draws=draws, chains=settings.chains, seed=settings.seed, progress=tell
    )


def _judge_signup(
    fit: Fit, rows: Sequence[LevelChance | Doubling], sessions: SessionsTable, settings: SessionSettings
) -> tuple[Diagnostic, ...]:
    """Judge the draws, the predictions by level and by user, leave-one-out, the table, and what the priors decide.

    Priors are asked only about what may be stated: where a side leads with more than 80 %.
    """
    shown = list_shown(fit)
    trusted = diagnose(fit, rows)
    if is_unreliable(trusted):
        return trusted
    thinned = thin_fit(fit, CHECKED_DRAWS)
    users = sessions.frame.set_index("line")[USER].reindex(pd.Index(fit.design.lines)).to_numpy()
    checks = check_predictions(thinned, seed=settings.seed, creators=users, creator_column=USER, by=shown)
    return (
        *trusted,
        *judge_predictions(checks, question=QUESTION, subject=SESSIONS),
        judge_loo(estimate_loo(thinned), question=QUESTION, subject=SESSIONS),
        *judge_table(fit.design, factors=shown, subject=SESSIONS),
        *judge_priors(
            fit,
            [claim for claim in make_claims(fit) if band(float(np.mean(claim.margin > 0))) != UNDECIDED],
            make_claims=make_claims,
            engine=settings.engine,
            draws=settings.draws,
            seed=settings.seed,
            subject=SESSIONS,
        ),
    )


def _list_withheld(fit: Fit, diagnostics: Sequence[Diagnostic]) -> dict[str, tuple[str, ...]]:
    """Return id of a level or number -> names of the checks that withhold it."""
    claims = make_claims(fit)
    found = dict(list_withheld_claims(diagnostics, claims))
    cells = list_withheld_cells(diagnostics, question=QUESTION)
    for claim in claims:
        names = cells.get(f"{claim.variable}:{claim.level}", ())
        if names:
            found[claim.id] = tuple(dict.fromkeys((*found.get(claim.id, ()), *names)))
    return found


def _answer_trial(
    sessions: SessionsTable, spec: Specification, settings: SessionSettings, tell: Report
) -> TrialAnswer | None:
    """Score baseline and hierarchical model on the same held-out users."""
    features = make_features(sessions, set_aside=list_set_aside(dict(sessions.quality)))
    adapted, _ = fit_to_sessions(spec, sessions)
    named = {*(term.column for term in adapted.factors), *(term.column for term in adapted.numerics)}
    uses = tuple(str(name) for name in features.frame if name in named)
    certified: list[bool] = []
    learner = make_learner(
        make_rows(sessions, adapted), adapted, record=lambda fit: certified.append(is_certified(fit.run.certificate))
    )
    trial = try_models(
        features,
        {HIERARCHICAL: Contender(learner=learner, uses=uses), **list_contenders(features, uses)},
        folds=settings.folds,
        repeats=settings.repeats,
        prob=settings.prob,
        seed=settings.seed,
        base=CONSTANT,
        progress=lambda share: tell("trying models on held-out users", share),
    )
    there = has_baseline()
    return TrialAnswer(
        trial=trial if all(certified) else leave_out_model(trial, HIERARCHICAL),
        importances=explain_trees(features, seed=settings.seed) if there else (),
        minutes=score_minutes(features, seed=settings.seed) if there else None,
        left_out=features.left_out,
        reason="" if there else NO_BASELINE,
        uncertified="" if all(certified) else NOT_CERTIFIED.format(certified.count(False), len(certified)),
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
