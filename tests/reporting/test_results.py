"""results.json: complete, strict, deterministic, and what its schema says."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from influbayes.errors import IncompleteRun, OutputError
from influbayes.reporting.plain import make_plain
from influbayes.reporting.results import (
    collect_results,
    encode_results,
    list_facts,
    name_posterior,
    read_results,
    validate_results,
    write_results,
)
from influbayes.reporting.schemas import load_schema

CREATED = "2026-01-01T00:00:00+00:00"


def test_the_document_holds_what_the_schema_asks_for(conversion_results: dict[str, Any]) -> None:
    assert validate_results(conversion_results) == ()
    assert set(conversion_results) == set(load_schema()["required"])


def test_the_schema_is_itself_a_valid_schema() -> None:
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(load_schema())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("status",), "fine"),
        (("schema_version",), 2),
        (("effects", 0, "estimate"), "1.2"),
        (("effects", 0, "scale"), "per_1000"),
        (("effects", 0, "probability"), 1.2),
        (("statements", 0, "status"), "maybe"),
        (("headline", "verdict", "reasons"), "none"),
        (("data", "rows_used"), -1),
        (("provenance", "specification", "digest"), "short"),
        (("surprise",), 1),
    ],
)
def test_the_schema_refuses_a_broken_document(
    conversion_results: dict[str, Any], path: tuple[Any, ...], value: object
) -> None:
    broken = copy.deepcopy(conversion_results)
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert validate_results(broken) != ()


@pytest.mark.parametrize("key", ["headline", "effects", "diagnostics", "statements", "provenance", "nulls"])
def test_the_schema_refuses_a_missing_part(conversion_results: dict[str, Any], key: str) -> None:
    assert validate_results({name: value for name, value in conversion_results.items() if name != key}) != ()


def test_writing_and_reading_gives_the_same_document(conversion_results: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(conversion_results, path)
    assert read_results(path) == conversion_results
    assert path.read_bytes().endswith(b"}\n")


def test_the_same_study_gives_the_same_bytes(conversion_analysis: Any, conversion_results: dict[str, Any]) -> None:
    assert encode_results(collect_results(conversion_analysis, created=CREATED)) == encode_results(conversion_results)


def test_only_created_changes_with_the_clock(conversion_analysis: Any, conversion_results: dict[str, Any]) -> None:
    later = collect_results(conversion_analysis)
    assert later["provenance"].pop("created") != CREATED
    earlier = {**conversion_results, "provenance": {**conversion_results["provenance"]}}
    earlier["provenance"].pop("created")
    assert later == earlier


def test_letters_beyond_ascii_stay_readable(conversion_results: dict[str, Any], tmp_path: Path) -> None:
    changed = {**conversion_results, "choice": "España → ok"}
    write_results(changed, tmp_path / "results.json")
    assert "España → ok" in (tmp_path / "results.json").read_text(encoding="utf-8")


def test_writing_strict_json_refuses_what_json_cannot_hold(conversion_results: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_results({**conversion_results, "choice": float("nan")}, tmp_path / "results.json")


def test_a_place_that_cannot_be_written_is_named(conversion_results: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"absent.results\.json: could not be written"):
        write_results(conversion_results, tmp_path / "absent" / "results.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"schema_version": 2}', b"\xff"])
def test_a_file_that_is_not_a_whole_document_is_not_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(IncompleteRun, match=r"results\.json"):
        read_results(path)


def test_numbers_that_are_not_finite_become_null_with_a_reason(conversion_analysis: Any) -> None:
    first, second = conversion_analysis.questions
    effects = (replace(first.effects[0], rhat=float("nan"), upper=float("inf")), *first.effects[1:])
    changed = replace(conversion_analysis, questions=(replace(first, effects=effects), second))
    results = collect_results(changed, created=CREATED)
    assert (results["effects"][0]["rhat"], results["effects"][0]["upper"]) == (None, None)
    assert {"path": "/effects/0/rhat", "reason": "not a number"} in results["nulls"]
    assert {"path": "/effects/0/upper", "reason": "infinite"} in results["nulls"]
    json.loads(encode_results(results), parse_constant=lambda name: pytest.fail(name))


def test_plain_data_of_arrays_scalars_and_surrogates() -> None:
    plain, nulls = make_plain({"a": np.array([1.5, np.nan]), "b": np.int64(3), "c": ("x", "\udcff"), "d": np.True_})
    assert plain == {"a": [1.5, None], "b": 3, "c": ["x", "\\udcff"], "d": True}
    assert nulls == [{"path": "/a/1", "reason": "not a number"}]


@pytest.mark.parametrize("value", [{1: 2}, {"a": {1}}, [b"bytes"], [object()]])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        make_plain(value)


def test_every_row_is_accounted_for(conversion_results: dict[str, Any]) -> None:
    data = conversion_results["data"]
    assert data["rows_read"] == data["rows_used"] + sum(data["rejected"].values())
    for levels in data["levels"].values():
        assert sum(levels.values()) == data["rows_used"]
    for rows in data["rates"]["levels"].values():
        assert sum(row["posts"] for row in rows.values()) == data["rows_used"]
    assert sum(cell["posts"] for cell in data["rates"]["cells"]) == data["rows_used"]
    assert sum(row["posts"] for row in conversion_results["creators"]) == data["rows_used"]


def test_raw_rates_are_conversions_over_trials(conversion_analysis: Any, conversion_results: dict[str, Any]) -> None:
    frame = conversion_analysis.posts.frame
    mega = frame[frame["Influencer_Tier"] == "Mega"]
    row = conversion_results["data"]["rates"]["levels"]["Influencer_Tier"]["Mega"]
    assert row == {
        "posts": 24,
        "conversions": int(mega["conversions"].sum()),
        "trials": 24,
        "rate": mega["conversions"].mean(),
    }
    cell = next(cell for cell in conversion_results["data"]["rates"]["cells"] if cell["level"] == "Mega:US")
    us = mega[mega["Audience_Region"] == "US"]
    assert (cell["variable"], cell["levels"]) == ("Influencer_Tier:Audience_Region", ["Mega", "US"])
    assert (cell["posts"], cell["conversions"]) == (6, us["conversions"].sum())


def test_warnings_and_notices_keep_their_codes(conversion_results: dict[str, Any]) -> None:
    data = conversion_results["data"]
    assert [(row["code"], row["count"], row["lines"]) for row in data["warnings"]] == [("IB-D29", 37, [9, 41])]
    assert [row["code"] for row in data["notices"]] == ["IB-D03"]


def test_every_question_has_its_fit_and_posterior_file(conversion_results: dict[str, Any]) -> None:
    fits = {fit["question"]: fit for fit in conversion_results["fits"]}
    assert fits["engagement_constant"]["posterior_file"] == "posterior.nc"
    assert fits["as_bought"]["posterior_file"] == "posterior_as_bought.nc"
    assert [row["column"] for row in fits["engagement_constant"]["numerics"]] == ["Story_Views", "Swipe_Ups"]
    assert fits["as_bought"]["numerics"] == []
    assert conversion_results["engine"]["seconds"] == 5.0


def test_the_only_question_of_a_run_has_posterior_nc() -> None:
    assert name_posterior("as_bought", alone=True) == "posterior.nc"


def test_a_study_of_one_question_has_one_headline(conversion_analysis: Any) -> None:
    only = replace(conversion_analysis, questions=conversion_analysis.questions[1:])
    results = collect_results(only, created=CREATED)
    assert validate_results(results) == ()
    assert results["headline"]["engagement_constant"] is None
    assert results["headline"]["as_bought"]["statement"] == "as_bought/headline"


def test_every_creator_has_counts_and_an_expected_value(conversion_results: dict[str, Any]) -> None:
    creators = conversion_results["creators"]
    assert [row["level"] for row in creators] == [f"c{k:02d}" for k in range(12)]
    ids = {row["id"]: row for row in conversion_results["effects"]}
    for row in creators:
        assert set(row["expected"]) == {"engagement_constant", "as_bought"}
        for question, numbers in row["expected"].items():
            effect = ids[numbers["effect"]]
            assert (effect["question"], effect["level"]) == (question, row["level"])
            assert numbers["lower"] <= numbers["estimate"] <= numbers["upper"]


def test_calibration_points_and_checks_name_their_question(conversion_results: dict[str, Any]) -> None:
    assert [row["question"] for row in conversion_results["calibration"]] == ["engagement_constant", "as_bought"]
    assert len(conversion_results["calibration"][0]["points"]) == 12
    assert {row["question"] for row in conversion_results["checks"]} == {"engagement_constant", "as_bought"}


def test_terms_say_their_priors_in_words(conversion_results: dict[str, Any]) -> None:
    terms = {(row["question"], row["variable"]): row for row in conversion_results["model"]["terms"]}
    swipes = terms["engagement_constant", "Swipe_Ups"]
    assert swipes["prior"] == "Normal(mean 0, sd 1) on the log-odds scale, per standard deviation"
    assert (swipes["step"], swipes["after_purchase"]) == (20, True)
    tier = terms["as_bought", "Influencer_Tier"]
    assert tier["prior"] == "zero-sum effects, scale estimated with a half-normal(1) prior"
    assert tier["reference"] == "Mega"
    assert ("as_bought", "Swipe_Ups") not in terms


def test_provenance_names_versions_seed_and_specification(conversion_results: dict[str, Any]) -> None:
    provenance = conversion_results["provenance"]
    assert {"python", "influbayes", "pymc", "numpy"} <= set(provenance["versions"])
    assert (provenance["seed"], provenance["prob"]) == (20260101, 0.9)
    facts = list_facts(conversion_results)
    assert facts["specification_digest"] == provenance["specification"]["digest"]
    assert (facts["draws"], facts["chains"], facts["status"]) == (250, 4, "ok")


def test_the_mermaid_text_is_kept_where_given(conversion_analysis: Any) -> None:
    assert collect_results(conversion_analysis, mermaid="graph TD", created=CREATED)["model"]["mermaid"] == "graph TD"


def test_a_check_that_fails_everything_withholds_everything(
    conversion_analysis: Any, judge: Any, make_check: Any
) -> None:
    failed = make_check(
        "rhat", "as_bought", "intercept", status="fail", consequence="all_withheld", meaning="R-hat 1.2."
    )
    results = judge(conversion_analysis, failed)
    assert results["status"] == "withheld"
    assert {row["status"] for row in results["statements"]} == {"withheld"}
    assert set(results["withheld_effects"]) == {row["id"] for row in results["effects"]}
    assert results["headline"]["verdict"]["reasons"] == ["R-hat 1.2."]


def test_a_check_that_did_not_run_withholds_everything(conversion_analysis: Any) -> None:
    first, second = conversion_analysis.questions
    unchecked = replace(second, diagnostics=tuple(row for row in second.diagnostics if row.name != "rhat"))
    results = collect_results(replace(conversion_analysis, questions=(first, unchecked)), created=CREATED)
    assert results["status"] == "withheld"
    assert {row["status"] for row in results["statements"]} == {"withheld"}
    assert all("rhat" in row["because"] for row in results["statements"])


def test_a_misfitted_cell_withholds_its_rows_under_its_question_only(
    conversion_analysis: Any, judge: Any, make_check: Any
) -> None:
    failed = make_check("predictive_cell", "as_bought", "Micro:US", status="fail", consequence="cell_withheld")
    results = judge(conversion_analysis, failed)
    assert results["status"] == "partly_withheld"
    withheld = [row for row in results["effects"] if row["id"] in results["withheld_effects"]]
    assert {(row["question"], row["level"]) for row in withheld} == {("as_bought", "Micro:US")}
    assert "expected_value" in {row["estimand"] for row in withheld}
