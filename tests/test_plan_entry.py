"""`influbayes plan`: a plan from a finished run, refusals in words, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from influbayes.cli import main as cli
from influbayes.effects.contrasts import estimate_effects, make_claims
from influbayes.effects.estimands import estimate_probability
from influbayes.gate.checks import REQUIRED, Diagnostic
from influbayes.hierarchy.design import build_design
from influbayes.hierarchy.posterior import EngineRun, Fit
from influbayes.hierarchy.spec import leave_out_after_purchase, load_spec
from influbayes.pipeline import write_report
from influbayes.reporting.results import ConversionAnalysis, QuestionResult
from influbayes.tables.reader import read_posts

TIERS, REGIONS = ("Mega", "Micro"), ("EU", "US")


def write_posts(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = ["Influencer_Tier,Audience_Region,Story_Views,Swipe_Ups,Converted"]
    for k in range(48):
        tier, region = TIERS[k % 2], REGIONS[(k // 2) % 2]
        views = rng.integers(900, 5000)
        lines.append(f"{tier},{region},{views},{rng.integers(5, 90)},{int(rng.random() < 0.4)}")
    path = folder / "posts.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def judge(name: str, status: str = "pass") -> Diagnostic:
    return Diagnostic(
        name=name,
        subject="all quantities",
        question="as_bought",
        status=status,
        value=1.0,
        threshold=1.01,
        consequence="none" if status == "pass" else "all_withheld",
        meaning=f"{name}: {status}.",
    )


def make_run(folder: Path, *, status: str = "pass") -> Path:
    posts = read_posts(write_posts(folder))
    design = build_design(posts, leave_out_after_purchase(load_spec("conversion")), question="as_bought")
    rng = np.random.default_rng(1)
    tier = np.stack([rng.normal(-0.5, 0.1, (4, 200)), np.zeros((4, 200))], axis=-1)
    tier[..., 1] = -tier[..., 0]
    draws = {
        "intercept": rng.normal(-0.6, 0.1, (4, 200)),
        "effect_Influencer_Tier": tier,
        "scale_Influencer_Tier": np.abs(rng.normal(0.7, 0.1, (4, 200))),
        "effect_Audience_Region": np.zeros((4, 200, 2)) + 0.01 * rng.normal(size=(4, 200, 1)) * [1, -1],
        "scale_Audience_Region": np.abs(rng.normal(0.2, 0.05, (4, 200))),
    }
    run = EngineRun(name_asked="nuts", name_used="hand", why="a test", draws=200, chains=4, seed=1, seconds=0.1)
    fit = Fit(design=design, draws=draws, sample_stats={}, run=run)
    claims = make_claims(fit)
    question = QuestionResult(
        fit=fit,
        effects=estimate_effects(fit),
        claims=claims,
        probabilities={claim.id: estimate_probability(claim.margin) for claim in claims},
        checks=(),
        calibration=None,
        diagnostics=tuple(judge(name, status if name == "rhat" else "pass") for name in REQUIRED),
    )
    analysis = ConversionAnalysis(
        posts=posts, questions=(question,), choice="A test.", prob=0.9, seed=1, command="influbayes fit"
    )
    return write_report(analysis, folder / "run")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("plan"))


@pytest.fixture
def fees(tmp_path):
    path = tmp_path / "fees.csv"
    path.write_text("Influencer_Tier,Fee\nMega,$500\nMicro,$100\n")
    return path


def test_a_plan_is_printed_and_written(run, fees, tmp_path, capsys):
    out = tmp_path / "plan.json"
    words = ["plan", str(run), "--fees", str(fees), "--budget", "2000", "--value-per-conversion", "1000"]
    assert cli([*words, "--target", "3", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "Buy 20 Micro:" in text
    assert "Probability of at least 3 conversions" in " ".join(text.split())
    plan = json.loads(out.read_text())
    assert plan["inputs"]["spent"] == 2000
    assert sum(row["posts"] for row in plan["rows"]) == 20
    assert cli([*words, "--out", str(out)]) == 5
    assert "could not be written" in capsys.readouterr().err


def test_limits_last_plan_and_caps_are_kept(run, fees, tmp_path, capsys):
    limits, last = tmp_path / "limits.csv", tmp_path / "last.csv"
    limits.write_text("Influencer_Tier,Audience_Region,Min,Max\nMicro,EU,,4\nMicro,US,,3\nMega,US,1,\n")
    last.write_text("Influencer_Tier,Audience_Region,Posts\nMega,US,2\n")
    words = ["plan", str(run), "--fees", str(fees), "--budget", "1500", "--value-per-conversion", "1000"]
    assert cli([*words, "--limits", str(limits), "--last", str(last), "--risk", "0.5"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Buy 1 Mega:US, 4 Micro:EU and 3 Micro:US for 1,200 of 1,500" in text
    assert "beats the last plan: above" in text
    assert "What holds it back: " in text
    assert "“at most” of Micro:EU" in text


@pytest.mark.parametrize(
    ("table", "code", "words"),
    [
        ("Influencer_Tier,Fee\nMega,500\n", 3, 'IB-D41 fees.csv: no fee for "Micro"'),
        (
            "Influencer_Tier,Fee\nMega,500\nMicro,9\nNano,5\n",
            3,
            "IB-D41 fees.csv, Influencer_Tier: a level that was not",
        ),
        ("Influencer_Tier,Fee\nMega,500\nMicro,-9\n", 3, "IB-D40"),
        ("Influencer_Tier,Fee\nMega,$500\nMicro,€9\n", 3, "mixed currencies"),
        ("Influencer_Tier,Fee\nMega,500\nMicro,\n", 3, "no amount"),
        ("Influencer_Tier,Price\nMega,500\nMicro,1\n", 3, 'no column "Fee"'),
        ("Influencer_Tier,Fee\nMega,500\nMicro,7\nMicro,8\n", 3, "Micro stands here twice"),
        ("Influencer_Tier,Fee\nMega,500\nMicro,0\n", 2, "the fee is 0, so nothing limits its posts"),
    ],
)
def test_fees_that_cannot_be_used_are_refused_by_code(run, tmp_path, capsys, table, code, words):
    path = tmp_path / "fees.csv"
    path.write_text(table)
    assert cli(["plan", str(run), "--fees", str(path), "--budget", "100"]) == code
    assert words in capsys.readouterr().err


def test_a_withheld_run_plans_nothing(tmp_path, fees, capsys):
    run = make_run(tmp_path, status="fail")
    assert cli(["plan", str(run), "--fees", str(fees), "--budget", "100"]) == 4
    assert "did not pass its checks" in capsys.readouterr().err


def test_a_broken_run_and_a_wrong_value_are_refused(run, fees, tmp_path, capsys):
    assert cli(["plan", str(tmp_path), "--fees", str(fees), "--budget", "100"]) == 3
    words = ["plan", str(run), "--fees", str(fees), "--budget", "100", "--value-per-conversion"]
    assert cli([*words, "Mega=1,Mega=2"]) == 2
    assert cli([*words, "cheap"]) == 2
    assert cli([*words, "Mega=5"]) == 2
    assert "no value of a conversion" in capsys.readouterr().err
