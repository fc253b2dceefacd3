"""Simulated sessions: byte for byte, with a truth that is what it says."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from influbayes.errors import UsageError
from influbayes.simulate import main
from influbayes.tables.simulate_sessions import (
    CHANNELS,
    SessionsTruth,
    render_sessions_csv,
    render_sessions_truth,
    simulate_sessions,
)


def test_the_bundled_sample_is_what_the_command_writes(tmp_path, capsys):
    out = tmp_path / "sessions.csv"
    assert main(["sessions", "--sessions", "3000", "--seed", "20260101", "--out", str(out)]) == 0
    assert "Next: influbayes attribute" in capsys.readouterr().out
    for name in ("sessions.csv", "sessions_truth.toml"):
        assert (tmp_path / name).read_bytes() == (resources.files("influbayes.data") / name).read_bytes()


def test_one_channel_causes_sign_ups_and_the_others_cause_none():
    simulated = simulate_sessions(sessions=2000, seed=3)
    assert simulated.incremental["creator_video"] > 20
    assert sum(simulated.incremental.values()) == simulated.incremental["creator_video"]
    truth = tomllib.loads(render_sessions_truth(simulated))
    assert truth["incremental"] == dict(simulated.incremental)
    assert truth["sign_ups"] == simulated.sign_ups


def test_without_an_effect_nothing_is_caused():
    simulated = simulate_sessions(sessions=2000, seed=3, truth=SessionsTruth(effects={}))
    assert set(simulated.incremental) == set(CHANNELS)
    assert sum(simulated.incremental.values()) == 0


def test_nobody_signs_up_twice_and_nothing_follows_a_sign_up():
    frame = simulate_sessions(sessions=1500, seed=5).frame
    assert frame.groupby("user_id")["Sign_up"].sum().max() == 1
    last = frame.sort_values(["user_id", "session_start_ts"]).groupby("user_id")["Sign_up"].last()
    assert last.sum() == frame["Sign_up"].sum()


def test_the_same_seed_gives_the_same_text_and_another_seed_another():
    text = [render_sessions_csv(simulate_sessions(sessions=200, seed=seed)) for seed in (1, 1, 2)]
    assert text[0] == text[1] != text[2]


@pytest.mark.parametrize("wrong", [{"sessions": 10}, {"seed": -1}, {"truth": SessionsTruth(effects={"radio": 1.0})}])
def test_impossible_requests_are_refused(wrong):
    with pytest.raises(UsageError):
        simulate_sessions(**wrong)
