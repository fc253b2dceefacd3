"""Models are tried fairly: users on one side, nothing from after the outcome, scores that equal their definitions."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from influbayes.attribution.approximation import make_learner
from influbayes.attribution.baseline import CONSTANT, PLAIN, explain_trees, learn_constant, list_learners, score_minutes
from influbayes.attribution.features import INTENT, make_features
from influbayes.attribution.folds import split_users, try_models
from influbayes.attribution.scores import (
    choose_threshold,
    compute_brier,
    compute_f1,
    compute_log_loss,
    compute_pr_auc,
    compute_roc_auc,
    trace_roc,
)
from influbayes.attribution.terms import group_terms
from influbayes.hierarchy.spec import load_spec
from influbayes.tables.session_quality import list_set_aside
from influbayes.tables.session_reader import read_sessions

needs_trees = pytest.mark.skipif(find_spec("lightgbm") is None, reason="LightGBM is not installed (extra ml)")


@pytest.fixture(scope="module")
def features(sample):
    return make_features(sample, set_aside=list_set_aside(dict(sample.quality)))


def test_no_user_stands_on_both_sides_and_sign_ups_are_spread_evenly(features):
    fold = split_users(features.outcome, features.user, folds=5, seed=1)
    table = pd.DataFrame({"fold": fold, "user": features.user, "outcome": features.outcome})
    assert table.groupby("user")["fold"].nunique().max() == 1
    signed = table.groupby("fold")["outcome"].sum()
    assert signed.max() - signed.min() <= 1


def test_what_exists_only_after_the_outcome_is_left_out_and_named(features):
    assert {"minutes", "session_end_ts", "event_name", "event_ts", "user_id", "session_id"} <= features.left_out.keys()
    assert set(features.frame.columns).isdisjoint(features.left_out)
    assert "utm_content" in features.left_out


def test_history_counts_earlier_sessions_only(sample, features):
    first = sample.frame.sort_values(["user_id", "event_ts", "session_id"]).drop_duplicates("user_id").index
    assert (features.frame.loc[first, "earlier_sessions"] == 0).all()
    assert (features.frame.loc[first, "earlier_minutes"].abs() < 1e-9).all()
    assert features.frame.loc[first, "days_since_last"].isna().all()


def test_scores_equal_their_definitions():
    outcome, chance = np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.8])
    assert compute_roc_auc(outcome, chance) == pytest.approx(3.5 / 4)
    assert compute_pr_auc(outcome, chance) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert compute_brier(outcome, chance) == pytest.approx((0.01 + 0.36 + 0.16 + 0.04) / 4)
    assert compute_log_loss(outcome, chance) == pytest.approx(-np.log([0.9, 0.4, 0.6, 0.8]).mean())
    assert compute_f1(outcome, chance >= 0.4) == pytest.approx(2 * 2 / 5)
    assert choose_threshold(outcome, chance) in (0.4, 0.8)
    assert compute_roc_auc(outcome, np.full(4, 0.3)) == 0.5
    assert np.isnan(compute_roc_auc(np.ones(3), np.ones(3)))
    false, true = trace_roc(outcome, chance)
    assert np.trapezoid(true, false) == pytest.approx(3.5 / 4)


@pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed")
def test_scores_equal_those_of_scikit_learn():
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(0)
    outcome, chance = rng.integers(0, 2, 300), np.round(rng.random(300), 2)
    assert compute_roc_auc(outcome, chance) == pytest.approx(roc_auc_score(outcome, chance))
    assert compute_pr_auc(outcome, chance) == pytest.approx(average_precision_score(outcome, chance))


def test_the_base_rate_has_auc_one_half_and_the_model_is_scored_on_the_same_folds(features):
    learners = {CONSTANT: learn_constant, "hierarchical": make_learner(load_spec("signup"))}
    trial = try_models(features, learners, folds=3, repeats=1, replicates=30)
    assert trial.pick(CONSTANT, "roc_auc").mean == 0.5
    assert trial.pick(CONSTANT, "accuracy").mean <= 1
    score = trial.pick("hierarchical", "roc_auc")
    assert 0.6 < score.lower < score.mean < score.upper < 0.9
    assert trial.pick("hierarchical", "log_loss").mean < trial.pick(CONSTANT, "log_loss").mean


@needs_trees
def test_the_baseline_beats_the_base_rate_on_the_sample_and_repeats_itself(features):
    learners = {name: learner for name, learner in list_learners().items() if name == PLAIN}
    one, two = (try_models(features, learners, folds=3, repeats=1, replicates=20) for _ in range(2))
    assert np.array_equal(one.chances[PLAIN], two.chances[PLAIN])
    assert one.pick(PLAIN, "roc_auc").lower > 0.5
    importances = explain_trees(features)
    assert sum(row.shap for row in importances) == pytest.approx(1)
    assert sum(row.gain for row in importances) == pytest.approx(1)
    minutes = score_minutes(features)
    assert minutes is not None
    assert minutes.rows == len(features.minutes)


def test_the_real_table_is_tried_by_user_and_the_pooled_model_does_not_beat_chance(shared):
    sessions = read_sessions(shared / "seeds" / "Do.csv")
    features = make_features(sessions, set_aside=list_set_aside(dict(sessions.quality)))
    assert features.outcome.sum() == 108
    assert INTENT in features.frame
    trial = try_models(features, {"model": make_learner(load_spec("signup"))}, repeats=1, replicates=50)
    assert trial.pick("model", "roc_auc").lower < 0.5


def test_terms_that_share_words_are_one_intent_whatever_the_order():
    terms = pd.Series(["nvidia a100 buy", "a100 nvidia", "A100 graphics cards", "graphics card", "(missing)"] * 3)
    found = group_terms(terms)
    assert found.intent["nvidia a100 buy"] == found.intent["a100 nvidia"]
    assert found.intent["A100 graphics cards"] == found.intent["graphics card"]
    assert found.intent["nvidia a100 buy"] != found.intent["graphics card"]
    assert found.intent["(missing)"] == "(no term)"
    assert group_terms(terms[::-1]).intent == found.intent
    assert sum(found.sizes.values()) == 15
