"""Odd tables and odd options together, by chance: every call ends with an answer or a refusal, never with a defect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from influbayes import fit, plan
from influbayes.effects.model_comparison import COMPARED
from influbayes.tables.simulate import simulate_posts

pytestmark = pytest.mark.slow
MODELS = ("auto", "conversion_log_engagement", *COMPARED)
DEFECT = 1


def make_odd_table(rng: np.random.Generator) -> pd.DataFrame:
    """Return simulated posts with a few things that seldom stand in a table."""
    posts = int(rng.choice([30, 60, 120, 400]))
    creators = max(3, posts // int(rng.choice([2, 5, 10])))
    frame = simulate_posts(posts=posts, creators=creators, seed=int(rng.integers(1_000_000))).frame
    median = frame["Swipe_Ups"].median()
    changes: tuple[tuple[float, dict[str, Any]], ...] = (
        (0.08, {"Influencer_Tier": "Mega"}),
        (0.08, {"Audience_Region": "US"}),
        (0.04, {"Converted": 1}),
        (0.15, {"Influencer_Tier": frame["Influencer_Tier"].replace({"Micro": "Mi:cro", "Mid": "M=id"})}),
        (
            0.15,
            {"Audience_Region": frame["Audience_Region"].where(frame["Audience_Region"] == "US", "Rest: of, world")},
        ),
        (0.05, {"Story_Views": 1000}),
        (0.05, {"Swipe_Ups": 0}),
        (0.05, {"Creator_ID": "c1", "Influencer_Tier": "Mega"}),
        (0.10, {"Converted": (frame["Swipe_Ups"] > median).astype(int)}),
        (0.30, {"Fee": np.where(frame["Influencer_Tier"] == "Mega", 500.0, 100.0)}),
    )
    for chance, columns in changes:
        if rng.random() < chance:
            frame = frame.assign(**columns)
    if rng.random() < 0.2:
        frame = frame.drop(columns="Creator_ID")
    extra = rng.random()
    if extra < 0.2:
        frame["Revenue"] = np.where(frame["Converted"] == 1, rng.gamma(2, 30, len(frame)).round(2), 0.0)
    elif extra < 0.4:
        frame["Purchases"] = np.where(frame["Converted"] == 1, 1 + rng.poisson(1, len(frame)), 0)
    return frame


def list_odd_options(rng: np.random.Generator, frame: pd.DataFrame) -> list[str]:
    """Return options, some of which the table or the model may not bear."""
    tiers, regions = (sorted(frame[name].unique()) for name in ("Influencer_Tier", "Audience_Region"))
    each = ",".join(f"{tier}={place + 1}" for place, tier in enumerate(tiers))
    shares = ",".join(f"{region}={place + 1}" for place, region in enumerate(regions))
    small = "Creator_ID" in frame and len(frame) <= 120
    offers = (
        (0.3, ["--value-per-conversion", str(rng.choice(["50", each]))]),
        (0.3, ["--threshold", "1.3"]),
        (0.3, ["--prob", str(rng.choice(["0.5", "0.8", "0.99"]))]),
        (0.25, ["--mix", shares]),
        (0.2, ["--reference", f"Influencer_Tier={rng.choice(tiers)}"]),
        (0.5 if "Purchases" in frame else 0.0, ["--value-per-purchase", "20"]),
        (0.1 if small else 0.0, ["--cross-validate"]),
        (0.2, ["--chains", "6"]),
    )
    chosen = [word for chance, words in offers if rng.random() < chance for word in words]
    return ["--model", str(rng.choice(MODELS)), "--draws", str(rng.choice(["100", "200", "1000"])), *chosen]


@pytest.mark.parametrize("seed", range(100))
def test_no_call_ends_with_a_defect(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(seed)
    frame = make_odd_table(rng)
    frame.to_csv("posts.csv", index=False)
    words = ["posts.csv", "--out", "run", *list_odd_options(rng, frame)]
    code = fit.main(words)
    assert code != DEFECT, (words, capsys.readouterr().err)
    assert Path("run").exists() == (code in (0, 4)), (code, words)
    if not Path("run").exists():
        return
    tiers = sorted(frame["Influencer_Tier"].unique())
    fees = pd.DataFrame({"Influencer_Tier": tiers, "Fee": [100.0 * (place + 1) for place in range(len(tiers))]})
    fees.to_csv("fees.csv", index=False)
    assert plan.main(["run", "--fees", "fees.csv", "--budget", "1000"]) != DEFECT, (words, capsys.readouterr().err)
