"""The conversion study from table to verdicts, with a stand-in for the sampler."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from influbayes import judging, pipeline
from influbayes.errors import DataRefused, Interrupted, OutputError, SamplingFailed, UsageError
from influbayes.hierarchy.posterior import Fit, load_fit
from influbayes.hierarchy.spec import load_spec
from influbayes.pipeline import (
    Settings,
    analyse_posts,
    answer_question,
    build_designs,
    diagnose,
    split_questions,
    write_report,
)
from influbayes.reporting.results import ConversionAnalysis, collect_results
from influbayes.reporting.run_folder import verify_run
from influbayes.tables.simulate import simulate_posts


@pytest.fixture(scope="module")
def posts(make_posts: Any) -> Any:
    return make_posts(simulate_posts(posts=300, creators=40, seed=1).frame)


@pytest.fixture(scope="module")
def analysis(posts: Any, approximate: Any) -> ConversionAnalysis:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "fit_model", approximate)
        return analyse_posts(posts, settings=Settings(draws=400, seed=3))


def test_two_questions_with_two_models(analysis: ConversionAnalysis) -> None:
    assert [q.fit.design.question for q in analysis.questions] == ["engagement_constant", "as_bought"]
    assert [q.fit.design.numeric_names for q in analysis.questions] == [("Story_Views", "Swipe_Ups"), ()]


def test_one_question_where_nothing_happens_after_the_purchase() -> None:
    assert [question for question, _ in split_questions(load_spec("signup"))] == ["as_bought"]
    assert [question for question, _ in split_questions(load_spec("conversion"))] == [
        "engagement_constant",
        "as_bought",
    ]


def test_the_specification_is_chosen_by_the_table(analysis: ConversionAnalysis) -> None:
    assert analysis.choice.startswith("conversion_creator, because ")
    assert "Creator_ID" in analysis.questions[0].fit.design.levels


def test_a_given_specification_needs_no_reason(posts: Any, faked_engine: Any) -> None:
    done = analyse_posts(posts, load_spec("conversion"), settings=Settings(draws=200))
    assert done.choice == "The specification conversion was asked for."
    assert {"draws", "chains", "seed", "engine", "progress"} <= set(faked_engine[0])
    assert faked_engine[0]["engine"] == "auto"
    # Posts of creators that the model does not know: the spread of creator totals is checked.
    assert any(check.kind == "creator_spread" for check in done.questions[0].checks)


def test_every_required_check_is_there_for_each_question(analysis: ConversionAnalysis) -> None:
    for question in analysis.questions:
        names = {item.name for item in question.diagnostics}
        wanted = {
            "draws_complete",
            "draws_finite",
            "rhat",
            "ess_bulk",
            "ess_tail",
            "divergences",
            "ebfmi",
            "tree_depth",
        }
        assert wanted <= names
        assert {"predictive_cell", "sensitivity", "separation", "loo_k", "probability_error"} <= names
        assert {item.question for item in question.diagnostics} == {question.fit.design.question}


def test_results_of_the_study_fit_the_schema(analysis: ConversionAnalysis) -> None:
    results = collect_results(analysis)
    assert results["status"] in ("ok", "partly_withheld")
    assert results["engine"]["draws"] == analysis.questions[0].fit.run.draws


def test_a_probability_at_a_cut_is_fitted_once_more_with_four_times_the_draws(
    posts: Any, faked_engine: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pipeline.judge_probability

    def judge(name: str, value: Any, *, question: Any) -> Any:
        return replace(real(name, value, question=question), status="warn")

    monkeypatch.setattr(pipeline, "judge_probability", judge)
    design = build_designs(posts, load_spec("conversion"))[0]
    pipeline._fit_until_sure(design, Settings(draws=200), None)
    assert [call["draws"] for call in faked_engine] == [200, 800]


def test_one_stuck_chain_fails_and_withholds_everything(posts: Any, approximate: Any, monkeypatch: Any) -> None:
    def stuck(design: Any, **settings: Any) -> Fit:
        fit = approximate(design, **settings)
        shifted = fit.draws["intercept"].copy()
        shifted[0] += 3
        return replace(fit, draws={**fit.draws, "intercept": shifted})

    monkeypatch.setattr(pipeline, "fit_model", stuck)
    design = build_designs(posts, load_spec("conversion"))[1]
    answer = answer_question(design, posts, settings=Settings(draws=200))
    failed = {item.name for item in answer.diagnostics if item.status == "fail"}
    assert "rhat" in failed
    assert all(item.status == "not_assessed" for item in answer.diagnostics if item.name == "sensitivity")


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (lambda fit: replace(fit, draws={**fit.draws, "intercept": np.full((4, 50), np.nan)}), "draws_finite"),
        (lambda fit: replace(fit, run=replace(fit.run, draws=51)), "draws_complete"),
        (lambda fit: replace(fit, run=replace(fit.run, chains=5)), "draws_complete"),
        (lambda fit: replace(fit, sample_stats={**fit.sample_stats, "diverging": np.eye(4, 50)}), "divergences"),
        (lambda fit: replace(fit, sample_stats={}), "divergences"),
        (
            lambda fit: replace(fit, sample_stats={**fit.sample_stats, "maxdepth_reached": np.ones((4, 50))}),
            "tree_depth",
        ),
        (
            lambda fit: replace(fit, sample_stats={**fit.sample_stats, "energy": np.cumsum(np.ones((4, 50)), axis=1)}),
            "ebfmi",
        ),
    ],
)
def test_diagnose_fails_what_cannot_be_trusted(small_fit: Fit, spoil: Any, name: str) -> None:
    clean = {item.name for item in diagnose(small_fit) if item.status == "fail"}
    assert name not in clean
    failed = {item.name: item.consequence for item in diagnose(spoil(small_fit)) if item.status == "fail"}
    assert failed[name] == "all_withheld"


def test_settings_are_refused_before_anything_is_fitted(posts: Any, faked_engine: list[Any]) -> None:
    for settings, message in (
        (Settings(chains=3), "3 chains are too few to check convergence. Use --chains 4 or more."),
        (Settings(draws=99), "99 draws a chain are too few. Use --draws 100 or more; 1000 is the default."),
        (Settings(seed=-1), "Seed -1 is negative. Use a whole number from 0."),
    ):
        with pytest.raises(UsageError) as caught:
            analyse_posts(posts, settings=settings)
        assert str(caught.value) == message
    with pytest.raises(UsageError, match=r"^Unknown engine 'gibbs'\. Choose one of auto, "):
        analyse_posts(posts, settings=Settings(engine="gibbs"))
    assert not faked_engine


def test_notices_of_the_designs_join_those_of_the_table_once(make_posts: Any, posts: Any, faked_engine: Any) -> None:
    frame = posts.frame.assign(Audience_Region="US")
    spec = load_spec("conversion")
    spec = replace(spec, factors=(spec.factors[0], replace(spec.factors[1], reference=None)))
    done = analyse_posts(make_posts(frame), spec, settings=Settings(draws=200))
    assert [(notice.code, notice.column) for notice in done.posts.notices] == [("IB-F03", "Audience_Region")]


def test_refusals_and_failures_pass_through(posts: Any, make_posts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataRefused, match="IB-F04"):
        analyse_posts(make_posts(posts.frame.assign(conversions=0)))
    for reason in (SamplingFailed("no start"), Interrupted("stop")):

        def fail(design: Any, *, error: BaseException = reason, **settings: Any) -> Fit:
            raise error

        monkeypatch.setattr(pipeline, "fit_model", fail)
        with pytest.raises(type(reason)):
            analyse_posts(posts)


def test_a_written_report_is_whole_and_its_fits_load(analysis: ConversionAnalysis, tmp_path: Path) -> None:
    folder = write_report(analysis, tmp_path / "run")
    manifest = verify_run(folder)
    assert {"report.html", "results.json", "posterior.nc", "posterior_as_bought.nc", "spec.toml"} <= set(
        manifest["files"]
    )
    for name, question in (("posterior.nc", 0), ("posterior_as_bought.nc", 1)):
        loaded = load_fit(folder / name)
        for variable, values in analysis.questions[question].fit.draws.items():
            np.testing.assert_array_equal(loaded.draws[variable], values)
    with pytest.raises(OutputError, match=r"exists\. Choose another --out, or replace the run in it with --overwrite"):
        write_report(analysis, folder)


def test_progress_names_every_long_step(posts: Any, faked_engine: Any) -> None:
    told: list[str] = []
    design = build_designs(posts, load_spec("conversion"))[1]
    answer_question(design, posts, settings=Settings(draws=200), progress=lambda text, share: told.append(text))
    assert list(dict.fromkeys(told)) == [
        "sampling",
        "estimating effects",
        "checking predictions",
        "checking the priors",
    ]


def test_refits_for_sensitivity_keep_rows_and_change_priors_only(
    posts: Any, faked_engine: list[dict[str, Any]]
) -> None:
    from influbayes.hierarchy.spec import multiply_prior_scale

    design = build_designs(posts, load_spec("conversion"))[0]
    wider = multiply_prior_scale(design.specification, "scale_Influencer_Tier", 2.0)
    changed = judging.change_priors(design, wider)
    assert changed.rows is design.rows
    assert changed.levels == design.levels
    assert changed.factors[0].scale_prior.parameters == (2.0,)
    assert changed.factors[1] == design.factors[1]
    assert changed.numerics == design.numerics
