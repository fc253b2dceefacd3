"""Models are tried fairly: users on one side, nothing from after the outcome, scores that equal their definitions."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from influbayes.attribution.baseline import (
    CONSTANT,
    EVERYTHING,
    LABELS_ONLY,
    PLAIN,
    WEIGHTED,
    explain_trees,
    learn_constant,
    list_contenders,
    score_minutes,
)
from influbayes.attribution.features import INTENT, make_features
from influbayes.attribution.folds import Contender, leave_out_model, split_users, try_models
from influbayes.attribution.hierarchical import make_learner
from influbayes.attribution.history import keep_at_risk
from influbayes.attribution.scores import (
    choose_threshold,
    compute_brier,
    compute_f1,
    compute_log_loss,
    compute_pr_auc,
    compute_roc_auc,
    trace_roc,
    weigh_brier,
    weigh_log_loss,
    weigh_pr_auc,
    weigh_roc_auc,
)
from influbayes.attribution.signup import fit_to_sessions, make_rows
from influbayes.attribution.terms import group_terms
from influbayes.hierarchy.spec import load_spec, parse_spec
from influbayes.inference.certificate import is_certified
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


def test_weighted_scores_are_those_of_repeated_rows():
    rng = np.random.default_rng(3)
    outcome, chance = rng.integers(0, 2, 40), np.round(rng.random(40), 1)
    weights = rng.multinomial(40, np.full(40, 1 / 40), size=5).astype(float)
    pairs = (
        (weigh_roc_auc, compute_roc_auc),
        (weigh_pr_auc, compute_pr_auc),
        (weigh_log_loss, compute_log_loss),
        (weigh_brier, compute_brier),
    )
    for weighted, plain in pairs:
        found = weighted(outcome, chance, weights)
        for value, times in zip(found, weights.astype(int), strict=True):
            assert value == pytest.approx(plain(np.repeat(outcome, times), np.repeat(chance, times)))
    assert np.isnan(weigh_roc_auc(np.ones(3), np.ones(3), np.ones((1, 3)))).all()


MODEL = """title = "Sign-up by channel"
[outcome]
column = "Sign_up"
[intercept]
prior = { normal = [-3, 1.5] }
[[factor]]
column = "channel_id"
levels = "sample"
scale_prior = { half_normal = 1 }
[[factor]]
column = "user_id"
levels = "sample"
scale_prior = { half_normal = 1 }
"""


def make_world(sample, *, strength, seed=4):
    """Return 2,400 sessions of 600 users whose chance of a sign-up is known: channels differ by `strength`."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(600), 4)
    channel = rng.integers(0, 4, len(users))
    person = rng.normal(0, 0.7, 600)[users]
    chance = 1 / (1 + np.exp(-(-2.4 + strength * np.array([-1.5, -0.5, 0.5, 1.5])[channel] + person)))
    start = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(len(users)) * 60, unit="s")
    frame = pd.DataFrame(
        {
            "session_id": [f"s{number}" for number in range(len(users))],
            "user_id": [f"u{number:03}" for number in users],
            "channel_id": np.array(["a", "b", "c", "d"])[channel],
            "event_ts": start,
            "session_start_ts": start,
            "session_end_ts": start,
            "minutes": rng.exponential(5, len(users)),
            "sign_up": (rng.random(len(users)) < chance).astype(np.int64),
            "line": np.arange(len(users)) + 2,
        }
    )
    quality = {"missing": [], "minutes": {}, "referrer": None}
    return replace(sample, frame=frame, quality=quality), chance


def try_world(sessions, *, outcome=None):
    """Return the trial of the base rate, the hierarchical model and, where installed, LightGBM on the same feature."""
    features = make_features(sessions)
    if outcome is not None:
        features = replace(features, outcome=outcome)
    spec = parse_spec(MODEL, name="test", file="test.toml")
    fits = []
    learner = make_learner(make_rows(sessions, spec), spec, draws=(150, 600), record=fits.append)
    contenders = {
        name: contender
        for name, contender in list_contenders(features, ("channel_id",)).items()
        if name in (CONSTANT, PLAIN)
    }
    contenders["model"] = Contender(learner=learner, uses=("channel_id",))
    trial = try_models(features, contenders, folds=3, repeats=1, replicates=100, base=CONSTANT)
    assert len(fits) == 3
    assert all(is_certified(fit.run.certificate) for fit in fits)
    return trial


def test_with_strong_channels_the_model_ranks_as_well_as_the_truth_about_channels(sample):
    sessions, chance = make_world(sample, strength=1.2)
    trial = try_world(sessions)
    outcome = sessions.frame["sign_up"].to_numpy()
    means = pd.Series(chance).groupby(sessions.frame["channel_id"]).transform("mean").to_numpy()
    reachable = compute_roc_auc(outcome, means)  # by channels alone: who the user is cannot be known
    assert 0.7 < reachable < compute_roc_auc(outcome, chance)
    score = trial.pick("model", "roc_auc")
    assert score.mean == pytest.approx(reachable, abs=0.02)
    assert score.lower > 0.5
    assert trial.pick("model", "log_loss_gain").lower > 0
    assert trial.pick("model", "log_loss").mean == pytest.approx(compute_log_loss(outcome, means), abs=0.005)
    assert np.abs(trial.chances["model"] - means).max() < 0.06
    if PLAIN in trial.uses:
        assert trial.pick(PLAIN, "roc_auc").mean == pytest.approx(reachable, abs=0.03)


def test_on_permuted_outcomes_no_model_beats_chance(sample):
    sessions, _ = make_world(sample, strength=1.2)
    outcome = np.random.default_rng(9).permutation(sessions.frame["sign_up"].to_numpy())
    trial = try_world(sessions, outcome=outcome)
    for name in set(trial.uses) - {CONSTANT}:
        score = trial.pick(name, "roc_auc")
        assert abs(score.mean - 0.5) < 0.06, name
        assert trial.pick(name, "log_loss_gain").lower <= 0.001


def test_the_base_rate_has_auc_one_half_and_gains_nothing(features):
    contenders = {CONSTANT: Contender(learner=learn_constant, uses=())}
    trial = try_models(features, contenders, folds=3, repeats=1, replicates=30, base=CONSTANT)
    assert trial.pick(CONSTANT, "roc_auc").mean == 0.5
    assert trial.pick(CONSTANT, "roc_auc_last").mean == 0.5
    assert trial.pick(CONSTANT, "log_loss_gain").mean == 0.0
    assert trial.pick(CONSTANT, "accuracy").mean <= 1
    assert trial.share_last == 1.0
    assert leave_out_model(trial, CONSTANT).scores == ()


def test_sessions_after_a_sign_up_are_not_at_risk(sample):
    frame = sample.frame.copy()
    user = frame.groupby("user_id").size().idxmax()
    first = frame.loc[frame["user_id"] == user].sort_values("event_ts").index[1]
    frame["sign_up"] = 0
    frame.loc[first, "sign_up"] = 1
    kept = keep_at_risk(replace(sample, frame=frame)).frame
    assert (kept["user_id"] == user).sum() == 2
    assert len(kept) == len(frame) - (frame["user_id"] == user).sum() + 2
    assert list(kept.index) == list(range(len(kept)))


@needs_trees
def test_the_baseline_beats_the_base_rate_on_the_sample_and_repeats_itself(features):
    contenders = list_contenders(features, ("channel_id", "utm_campaign", "earlier_sessions"))
    assert set(contenders) == {CONSTANT, PLAIN, WEIGHTED, LABELS_ONLY, EVERYTHING}
    assert contenders[LABELS_ONLY].uses == ("channel_id", "utm_campaign")
    assert set(contenders[EVERYTHING].uses) == set(features.frame)
    plain = {PLAIN: contenders[PLAIN]}
    one, two = (try_models(features, plain, folds=3, repeats=1, replicates=20) for _ in range(2))
    assert np.array_equal(one.chances[PLAIN], two.chances[PLAIN])
    assert one.pick(PLAIN, "roc_auc").lower > 0.5
    importances = explain_trees(features)
    assert sum(row.shap for row in importances) == pytest.approx(1)
    assert sum(row.gain for row in importances) == pytest.approx(1)
    minutes = score_minutes(features)
    assert minutes is not None
    assert minutes.rows == len(features.minutes)


@needs_trees
def test_on_the_real_table_labels_tell_nothing_and_time_tells_last_sessions(shared):
    """Every sign-up is its user's last session there: what tells last sessions must not pass for telling sign-ups."""
    sessions = read_sessions(shared / "seeds" / "Do.csv")
    features = make_features(sessions, set_aside=list_set_aside(dict(sessions.quality)))
    assert features.outcome.sum() == 108
    assert INTENT in features.frame
    labels = ("channel_id", "utm_campaign", "page", "utm_term")
    contenders = list_contenders(features, (*labels, "earlier_sessions"))
    some = {name: contenders[name] for name in (CONSTANT, LABELS_ONLY, EVERYTHING)}
    trial = try_models(features, some, repeats=1, replicates=100, base=CONSTANT)
    assert trial.share_last == 1.0
    assert trial.pick(LABELS_ONLY, "roc_auc").lower < 0.5
    assert trial.pick(EVERYTHING, "roc_auc").lower > 0.7
    assert trial.pick(EVERYTHING, "roc_auc_last").lower < 0.5


def test_the_sign_up_model_of_the_real_table_takes_no_intents_and_keeps_every_session(shared):
    sessions = read_sessions(shared / "seeds" / "Do.csv")
    spec, left_out = fit_to_sessions(load_spec("signup"), sessions)
    assert left_out == ("utm_term_intent: 2 intents of 6 terms cannot be told from the terms",)
    rows = make_rows(sessions, spec)
    assert len(rows.frame) == 5000
    assert rows.frame["earlier_sessions"].max() == 14


def test_terms_that_share_words_are_one_intent_whatever_the_order():
    terms = pd.Series(["nvidia a100 buy", "a100 nvidia", "A100 graphics cards", "graphics card", "(missing)"] * 3)
    found = group_terms(terms)
    assert found.intent["nvidia a100 buy"] == found.intent["a100 nvidia"]
    assert found.intent["A100 graphics cards"] == found.intent["graphics card"]
    assert found.intent["nvidia a100 buy"] != found.intent["graphics card"]
    assert found.intent["(missing)"] == "(no term)"
    assert group_terms(terms[::-1]).intent == found.intent
    assert sum(found.sizes.values()) == 15
