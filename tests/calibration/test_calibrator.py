"""Records: the same for any number of workers, honest about bad fits, read back as written, stale when they should."""

import ast
import json
from dataclasses import asdict, replace
from importlib.resources import files

import numpy as np
import pytest
from calibration_oracle import SLOPES, TIERS, StaleCache, change_draws, sample_exactly

from influbayes.calibration import calibrator, digests
from influbayes.calibration.calibrator import calibrate_engine
from influbayes.calibration.covariates import TableShape, simulate_table
from influbayes.calibration.digests import digest_code, digest_spec, normalise_source
from influbayes.calibration.journal import open_journal
from influbayes.calibration.plots import draw_coverage, draw_ecdf
from influbayes.calibration.record import is_stale, list_stale_parts, read_record, render_record
from influbayes.calibration.replication import Experiment, is_flagged, run_replication, spawn_generators
from influbayes.errors import DataRefused, IncompleteRun, Interrupted, SamplingFailed, UsageError
from influbayes.hierarchy.design import build_design
from influbayes.hierarchy.posterior import EngineRun
from influbayes.hierarchy.spec import NormalPrior, load_spec

SMALL = TableShape(fewest=30, most=60)


def plan(spec=TIERS, **settings):
    return Experiment(**{"specification": spec, "engine": sample_exactly, "shape": SMALL, "draws": 50} | settings)


def certify(entry):
    """Return an engine whose fits carry a certificate with one entry."""

    def certified(design, **settings):
        fit = sample_exactly(design, **settings)
        return replace(fit, run=replace(fit.run, certificate={"acceptance": entry}))

    return certified


@pytest.fixture(scope="module")
def record():
    return calibrate_engine(plan(), replications=40)


# --- replications ---


def test_a_replication_depends_on_its_number_alone():
    experiment = plan()
    second = run_replication(experiment, 2)
    run_replication(experiment, 7)
    assert asdict(run_replication(experiment, 2)) == asdict(second)
    assert run_replication(experiment, 3).ranks != second.ranks


def test_generators_are_those_of_a_spawned_seed_sequence():
    spawned = np.random.SeedSequence(5).spawn(4)[3].spawn(4)
    expected = [np.random.default_rng(stream).integers(2**31) for stream in spawned]
    assert [generator.integers(2**31) for generator in spawn_generators(5, 3)] == expected


def test_every_quantity_of_conversion_is_ranked():
    table = simulate_table(SLOPES, SMALL, rng=np.random.default_rng(1))
    ranked = run_replication(plan(SLOPES, posts=table), 0)
    assert set(ranked.ranks) == {
        "intercept",
        "slope[Swipe_Ups]",
        "log_odds_ratio[Influencer_Tier: Micro vs Mega]",
        "log_odds_ratio[Influencer_Tier: Mid vs Mega]",
        "log_likelihood",
    }
    assert set(run_replication(plan(), 0).ranks) >= {"scale_Influencer_Tier"}
    assert set(ranked.covered) == set(ranked.ranks) - {"log_likelihood"}
    assert all(0 <= rank <= 99 for rank in ranked.ranks.values())


def test_creators_and_cells_are_ranked_one_at_random():
    spec = replace(load_spec("conversion_interaction"), factors=load_spec("conversion_creator").factors)
    names = set(run_replication(plan(spec, engine=change_draws(sample_exactly, lambda draws: {})), 1).ranks)
    assert "effect_Creator_ID[one at random]" in names
    assert "effect_Influencer_Tier__x__Audience_Region[one at random]" in names


def test_constant_outcomes_are_drawn_again_and_counted():
    rare = replace(TIERS, outcome=SLOPES.outcome, intercept=NormalPrior(mean=-5.0, sd=0.5))
    counted = calibrate_engine(plan(rare), replications=40, fresh=10)
    assert counted.first.redrawn > 20
    assert counted.status == "calibrated"


def test_priors_that_give_nothing_else_are_refused():
    never = replace(TIERS, outcome=SLOPES.outcome, intercept=NormalPrior(mean=-60.0, sd=0.1))
    with pytest.raises(UsageError, match="gave tables without both outcomes"):
        run_replication(plan(never), 0)


def test_a_table_of_ones_own_keeps_its_predictors():
    table = simulate_table(TIERS, SMALL, rng=np.random.default_rng(2))
    made = calibrate_engine(plan(posts=table), replications=20)
    assert made.table == f"predictors of simulated table, {table.rows_used} rows"


# --- bad fits ---


def fail_often(design, **settings):
    if settings["seed"] % 4 == 0:
        raise SamplingFailed("no chain could be started")
    return sample_exactly(design, **settings)


def test_fits_that_fail_are_counted_and_make_the_calibration_fail():
    made = calibrate_engine(plan(engine=fail_often), replications=40)
    failed = made.first.failed["SamplingFailed: no chain could be started"]
    assert made.status == "failed"
    assert made.first.figures[0].replications == 40 - failed
    assert f"{failed} of 40 fits failed or did not pass the engine's own checks; at most 2% may." in made.because


def test_uncertified_fits_are_ranked_and_counted():
    bad = certify({"value": 0.1, "threshold": 0.4, "passed": False})
    made = calibrate_engine(plan(engine=bad), replications=20)
    assert (made.first.flagged, made.first.figures[0].replications) == (20, 20)
    assert made.status == "failed"


def test_a_certificate_that_passed_is_no_flag():
    good = certify({"value": 0.9, "threshold": 0.4, "passed": True})
    assert calibrate_engine(plan(engine=good), replications=20).first.flagged == 0


@pytest.mark.parametrize(
    ("changed", "flagged"),
    [
        ({}, False),
        ({"rhat": 1.02}, True),
        ({"ess_tail": 300.0}, True),
        ({"divergences": 1}, True),
        ({"rhat": np.nan}, True),
    ],
)
def test_attempts_of_nuts_are_flagged_by_their_last(changed, flagged):
    rung = {"rhat": 1.0, "ess_bulk": 900.0, "ess_tail": 800.0, "divergences": 0} | changed
    experiment = plan()
    table = simulate_table(TIERS, SMALL, rng=np.random.default_rng(3))
    fit = sample_exactly(build_design(table, experiment.specification), draws=25)
    run = EngineRun(
        name_asked="nuts", name_used="nuts", why="", draws=25, chains=4, seed=0, seconds=0.0, rungs=({}, rung)
    )
    assert is_flagged(replace(fit, run=run)) is flagged


# --- the whole ---


def test_a_chance_failure_is_decided_by_fresh_replications(monkeypatch):
    monkeypatch.setattr(calibrator, "ALPHA", 1.0)
    made = calibrate_engine(plan(), replications=40, fresh=100)
    assert made.first.failures
    assert made.fresh is not None
    assert (made.fresh.replications, made.fresh.failures, made.status) == (100, (), "calibrated")
    assert "not in 100 fresh replications" in made.because[0]


def test_the_record_is_the_same_for_any_number_of_workers(record):
    alone, together = (calibrate_engine(plan(seed=8), replications=23, workers=k) for k in (1, 2))
    assert render_record(alone) == render_record(together)
    assert render_record(alone) != render_record(record)


def test_a_worker_that_meets_a_refusal_passes_it_on():
    with pytest.raises(DataRefused):
        calibrate_engine(plan(load_spec("conversion"), shape=TableShape(fewest=8, most=8, creators=1)), replications=20)


def test_ctrl_c_is_an_interruption():
    def stop(design, **settings):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="nothing was written"):
        calibrate_engine(plan(engine=stop), replications=10)


def test_progress_counts_replications_up_to_the_last():
    told = []
    calibrate_engine(plan(), replications=12, progress=lambda text, share: told.append((text, share)))
    assert told[-1] == ("replication 12 of 12", 1.0)
    assert [share for _, share in told] == sorted(share for _, share in told)


@pytest.mark.parametrize(
    ("settings", "numbers", "words"),
    [
        ({}, {"replications": 3}, "3 replications say nothing"),
        ({}, {"workers": 0}, "0 workers cannot work"),
        ({"seed": -1}, {}, "Seed -1 is below 0"),
        ({"draws": 10}, {}, "40 draws in all are too few"),
        ({"shape": TableShape(fewest=30, most=20)}, {}, "the smaller number first"),
    ],
)
def test_what_cannot_work_is_refused_at_once(settings, numbers, words):
    with pytest.raises(UsageError, match=words):
        calibrate_engine(plan(**settings), **numbers)


# --- record ---


def test_a_record_reads_back_as_it_was(record, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(render_record(record), encoding="utf-8")
    assert read_record(path) == record
    content = json.loads(path.read_text())
    assert content["record_version"] == 1
    assert content["versions"].keys() >= {"python", "numpy", "influbayes"}
    assert len(path.read_bytes()) < 40_000


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"made_by": "x", "record_version": 1}', '{"made_by": 3}', "nonsense"]
)
def test_another_file_is_refused(text, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(IncompleteRun, match="Calibrate again"):
        read_record(path)


def test_a_record_of_todays_code_and_specification_is_not_stale(record):
    assert not is_stale(record, specification=TIERS)


def test_a_record_is_stale_with_other_code_or_priors(record):
    wider = replace(TIERS, intercept=NormalPrior(mean=-0.5, sd=2.0))
    assert list_stale_parts(record, specification=wider) == ("specification",)
    assert list_stale_parts(replace(record, code_digest="0"), specification=TIERS) == ("model code",)
    assert list_stale_parts(record) == ("specification",)  # no shipped specification of that name to compare with


def test_a_record_of_a_shipped_name_is_compared_with_what_ships(record):
    shipped = replace(record, model="conversion", specification_digest=digest_spec(load_spec("conversion")))
    assert not is_stale(shipped)
    assert is_stale(replace(shipped, model="conversion_creator"))


def test_the_title_is_no_part_of_the_digest_and_a_prior_is():
    assert digest_spec(TIERS) == digest_spec(replace(TIERS, title="Other", name="other"))
    assert digest_spec(TIERS) != digest_spec(SLOPES)


def test_comments_and_docstrings_are_no_part_of_the_code_digest():
    code = 'def f(x):\n    """Say."""\n    # why\n\n    return x + 1\n'
    same = "def f( x ):\n    return x + 1  # other\n"
    assert normalise_source(code) == normalise_source(same)
    assert normalise_source(code) != normalise_source(same.replace("1", "2"))
    assert normalise_source("if a:\n    b\nc\n") != normalise_source("if a:\n    b\n    c\n")


def test_the_code_digest_covers_hierarchy_and_inference(monkeypatch):
    whole = digest_code()
    assert (len(whole), whole) == (64, digest_code())
    monkeypatch.setattr(digests, "ROOMS", ("hierarchy",))
    assert digest_code() != whole


def list_imports(module):
    """Return the modules of the two rooms that a module names in its imports, also inside functions."""
    room, name = module.split(".")
    tree = ast.parse(files(f"influbayes.{room}").joinpath(f"{name}.py").read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("influbayes."):
            part = node.module.removeprefix("influbayes.")
            found |= {part} if "." in part else {f"{part}.{alias.name}" for alias in node.names}
    return {one for one in found if one.split(".")[0] in digests.ROOMS}


def test_the_digest_of_laplace_knows_every_module_it_imports():
    """A new module must be put on one of the two lists, so that none is forgotten."""
    reached, waiting = set(), {"inference.laplace"}
    while waiting:
        reached |= waiting
        waiting = set().union(*(list_imports(module) for module in waiting)) - reached
    assert reached == {*digests.LAPLACE, *digests.BESIDE_LAPLACE}


def test_a_record_of_laplace_ages_with_its_own_code_alone(monkeypatch, record):
    made = replace(record, engine="laplace", code_digest=digest_code("laplace"))
    monkeypatch.setattr(digests, "ROOMS", ("hierarchy",))  # whatever else changes
    assert list_stale_parts(made, specification=TIERS) == ()
    monkeypatch.setattr(digests, "LAPLACE", digests.LAPLACE[1:])
    assert list_stale_parts(made, specification=TIERS) == ("model code",)


# --- the journal ---


def test_a_calibration_that_was_stopped_goes_on_and_ends_the_same(record, tmp_path):
    journal = tmp_path / "kept.jsonl"
    calibrate_engine(plan(), replications=25, journal=journal)
    with journal.open("a") as file:
        file.write('\n{"key": "cut sho')
    fitted = []

    def count(design, **settings):
        fitted.append(settings["seed"])
        return sample_exactly(design, **settings)

    count.__name__ = sample_exactly.__name__
    resumed = calibrate_engine(plan(engine=count), replications=40, journal=journal)
    assert len(fitted) == 15
    assert resumed == record
    again = calibrate_engine(plan(engine=count), replications=40, journal=journal)
    assert len(fitted) == 15
    assert render_record(again) == render_record(record)


@pytest.mark.parametrize("change", [{"seed": 1}, {"draws": 60}, {"spec": SLOPES}])
def test_a_journal_of_another_calibration_is_not_taken(change, tmp_path):
    journal = tmp_path / "kept.jsonl"
    calibrate_engine(plan(), replications=12, journal=journal)
    mixed = calibrate_engine(plan(**change), replications=12, journal=journal)
    assert mixed == calibrate_engine(plan(**change), replications=12)


def test_a_journal_of_other_code_is_not_taken(monkeypatch, tmp_path):
    kept = open_journal(tmp_path / "kept.jsonl", plan())
    kept.append([3], [run_replication(plan(), 3)])
    assert asdict(kept.read()[3]) == asdict(run_replication(plan(), 3))
    monkeypatch.setattr(digests, "ROOMS", ("hierarchy",))
    assert open_journal(tmp_path / "kept.jsonl", plan()).read() == {}


def test_pictures_are_drawn_from_the_record_alone(record):
    for picture in (draw_ecdf(record), draw_coverage(record), draw_ecdf(replace(record, title="$\\frac"))):
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 10_000


def test_a_stale_cache_is_named_in_plain_words():
    made = calibrate_engine(plan(engine=StaleCache(sample_exactly)), replications=100, fresh=100)
    assert made.status == "failed"
    assert "intercept: ranks failed, and failed again in 100 fresh replications (adjusted p-value" in "\n".join(
        made.because
    )
