"""What all checks together withhold: everything, a statement, a cell, or nothing."""

from __future__ import annotations

import numpy as np

from influbayes.effects.estimands import Claim
from influbayes.gate.checks import (
    REQUIRED,
    Diagnostic,
    decide_verdict,
    finite_or_none,
    list_withheld_cells,
    list_withheld_claims,
)


def make(name, status="pass", consequence="none", subject="draws", question="as_bought", meaning=None):
    return Diagnostic(
        name=name,
        subject=subject,
        question=question,
        status=status,
        value=None,
        threshold=None,
        consequence=consequence,
        meaning=meaning or f"{name} {status}",
    )


def make_claim(identity, kind="beats", variable="Tier", question="as_bought"):
    return Claim(
        id=identity,
        kind=kind,
        question=question,
        variable=variable,
        level=None,
        reference=None,
        step=None,
        effects=(),
        margin=np.ones((4, 10)),
    )


CLEAN = tuple(make(name) for name in REQUIRED)
CLAIMS = (
    make_claim("beats"),
    make_claim("best", "best"),
    make_claim("step", "step", "Swipe_Ups"),
    make_claim("views", "step", "Story_Views"),
    make_claim("other", question="engagement_constant"),
)


def test_clean_checks_say_ok_and_withhold_nothing():
    verdict = decide_verdict(CLEAN)
    assert (verdict.status, verdict.exit_code, verdict.reasons) == ("ok", 0, ())
    assert list_withheld_claims(CLEAN, CLAIMS) == {}


def test_words_added_withhold_nothing():
    assert decide_verdict((*CLEAN, make("separation", "warn", "words_added"))).status == "ok"


def test_nothing_checked_is_withheld():
    verdict = decide_verdict(())
    assert (verdict.status, verdict.exit_code) == ("withheld", 4)
    assert verdict.reasons == ("No check was run, so nothing is reported.",)
    assert set(list_withheld_claims((), CLAIMS)) == {claim.id for claim in CLAIMS}


def test_each_required_check_that_did_not_run_withholds_everything():
    for name in REQUIRED:
        rest = tuple(item for item in CLEAN if item.name != name)
        skipped = (*rest, make(name, "not_assessed"))
        for diagnostics in (rest, skipped):
            verdict = decide_verdict(diagnostics)
            assert verdict.exit_code == 4
            assert verdict.reasons == (
                f"The check {name} was not run for the question as_bought, so nothing is reported.",
            )


def test_a_second_question_needs_its_own_checks():
    verdict = decide_verdict((*CLEAN, make("rhat", question="engagement_constant")))
    assert verdict.status == "withheld"
    assert len(verdict.reasons) == 4


def test_one_sampler_failure_withholds_every_claim_of_every_question():
    found = (*CLEAN, make("divergences", "fail", "all_withheld", meaning="Diverged."))
    assert decide_verdict(found).reasons == ("Diverged.",)
    assert list_withheld_claims(found, CLAIMS) == {claim.id: ("divergences",) for claim in CLAIMS}


def test_sensitivity_withholds_its_own_claim_only():
    found = (
        *CLEAN,
        make("sensitivity", "fail", "statement_withheld", "beats", meaning="Flips."),
        make("probability_error", "fail", "statement_withheld", "beats", meaning="Unknown."),
    )
    verdict = decide_verdict(found)
    assert (verdict.status, verdict.exit_code, verdict.reasons) == ("partly_withheld", 0, ("Flips.", "Unknown."))
    assert list_withheld_claims(found, CLAIMS) == {"beats": ("sensitivity", "probability_error")}


def test_a_misfitting_shape_withholds_statements_about_that_column():
    found = (*CLEAN, make("predictive_tenth", "fail", "statement_withheld", "Swipe_Ups"))
    assert list_withheld_claims(found, CLAIMS) == {"step": ("predictive_tenth",)}


def test_creator_spread_withholds_contrasts_of_its_question():
    found = (*CLEAN, make("predictive_creators", "fail", "statement_withheld", "Creator_ID"))
    assert set(list_withheld_claims(found, CLAIMS)) == {"beats", "best"}


def test_overdispersed_rows_withhold_comparisons_and_steps():
    found = (*CLEAN, make("predictive_rows", "fail", "statement_withheld", "rows"))
    assert {"beats", "best", "step"} <= set(list_withheld_claims(found, CLAIMS))


def test_cells_are_withheld_by_question():
    found = (*CLEAN, make("predictive_cell", "fail", "cell_withheld", "Micro:US"))
    assert decide_verdict(found).status == "partly_withheld"
    assert list_withheld_cells(found, question="as_bought") == {"Micro:US": ("predictive_cell",)}
    assert list_withheld_cells(found, question="engagement_constant") == {}
    assert list_withheld_claims(found, CLAIMS) == {}


def test_reasons_are_given_once():
    twice = [make("sensitivity", "fail", "statement_withheld", name, meaning="Same.") for name in ("beats", "best")]
    assert decide_verdict((*CLEAN, *twice)).reasons == ("Same.",)


def test_no_nan_reaches_the_results():
    assert finite_or_none(1.5) == 1.5
    assert [finite_or_none(value) for value in (float("nan"), float("inf"), -float("inf"))] == [None] * 3


def test_many_statements_withheld_by_one_check_are_counted_in_one_sentence():
    three = [
        make("sensitivity", "fail", "statement_withheld", f"claim {number}", meaning=f"Reason {number}.")
        for number in range(3)
    ]
    assert decide_verdict((*CLEAN, *three)).reasons == (
        "3 statements are withheld because halving or doubling the scale of a prior changes what they say.",
    )
    assert decide_verdict((*CLEAN, *three[:2])).reasons == ("Reason 0.", "Reason 1.")
