"""Every shipped model of posts, and one with all a model can have, goes from a table to a whole run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from influbayes import fit, plan
from influbayes.effects.model_comparison import COMPARED
from influbayes.hierarchy.posterior import load_fit
from influbayes.hierarchy.spec import list_shipped_specs, load_spec, render_spec
from influbayes.reporting.html import render_report
from influbayes.reporting.run_folder import verify_run
from influbayes.reporting.schemas import CONVERSION, find_violations
from influbayes.tables.simulate import simulate_posts

OF_POSTS = ("conversion_log_engagement", *COMPARED)


@pytest.fixture
def posts_csv(tmp_path: Path) -> Path:
    path = tmp_path / "posts.csv"
    simulate_posts(posts=400, creators=60, seed=4).frame.to_csv(path, index=False)
    everything = replace(load_spec("conversion_creator"), interactions=load_spec("conversion_interaction").interactions)
    (tmp_path / "everything.toml").write_text(render_spec(everything), encoding="utf-8")
    return path


def test_the_models_of_posts_are_those_that_are_shipped_for_them() -> None:
    assert set(list_shipped_specs()) - set(OF_POSTS) == {"conversion_ledger", "signup"}


@pytest.mark.parametrize("model", [*OF_POSTS, "everything.toml"])
def test_every_model_of_posts_ends_in_a_whole_run(
    model: str, posts_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--threshold", "1.2"]
    if model != "complete_pooling":  # which has nothing to price
        words += ["--fees", "fees.csv", "--value-per-conversion", "50"]
    regions = simulate_posts(posts=400, creators=60, seed=4).frame["Audience_Region"].unique()
    rows = [f"{tier},{region},{fee}" for tier, fee in (("Mega", 30), ("Mid", 20), ("Micro", 10)) for region in regions]
    Path("fees.csv").write_text("\n".join(["Influencer_Tier,Audience_Region,Fee", *rows]) + "\n", encoding="utf-8")
    code = fit.main([str(posts_csv), "--model", model, "--out", "run", *words])
    said = capsys.readouterr()
    assert (code, said.err) == (0, "")
    assert ("Micro" in said.out) == (model != "complete_pooling")
    manifest = verify_run("run")
    results = json.loads(Path("run/results.json").read_text(encoding="utf-8"))
    assert find_violations(results, CONVERSION) == ()
    named = {term.column for term in load_spec(model).factors}
    assert {row["variable"] for row in results["effects"]} >= named
    asked = "everything" if model == "everything.toml" else model
    for name in (name for name in manifest["files"] if name.endswith(".nc")):
        found = load_fit(Path("run") / name).design.specification
        assert found.name.startswith(asked)
    images = {path.stem: path.read_bytes() for path in Path("run/plots").glob("*.png")}
    assert len(render_report(results, images)) > 50_000
    planned = plan.main(["run", "--fees", "fees.csv", "--budget", "500"])
    said = capsys.readouterr()
    assert planned == (2 if model == "complete_pooling" else 0)
    assert ("there is nothing to choose between" in said.err) == (model == "complete_pooling")
    assert ("Micro:" in said.out) == (model != "complete_pooling")


@pytest.mark.parametrize(
    "words",
    [["--fees", "fees.csv"], ["--value-per-conversion", "50"], ["--value-per-conversion", "Mega=1,Mid=2,Micro=3"]],
)
def test_prices_without_anything_to_price_are_refused(
    words: list[str], posts_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert fit.main([str(posts_csv), "--model", "complete_pooling", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"influbayes fit: {words[0]} has no effect with the model complete_pooling: it has no label")
    assert said.endswith("Choose a --model that has one, or leave it out.\n")
    assert sorted(tmp_path.iterdir()) == before
