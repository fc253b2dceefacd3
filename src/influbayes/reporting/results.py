"""Everything a conversion study found, as frozen types and as plain data for results.json.

Takes a finished analysis; gives one dictionary that the terminal, the page and the pictures are made from. Computes no
estimate and judges nothing: effects and diagnostics come in, the gate decides.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from influbayes.decisions.study import Choices
from influbayes.effects.criticism import Calibration, PredictiveCheck
from influbayes.effects.estimands import Claim, Effect, Probability
from influbayes.errors import IncompleteRun, OutputError
from influbayes.gate.checks import Diagnostic
from influbayes.hierarchy.posterior import Fit
from influbayes.reporting.accounts import account_data, count_levels
from influbayes.reporting.decision_tables import describe_choices, list_frequentist
from influbayes.reporting.judgements import Evidence, gather_evidence, list_withheld_effects
from influbayes.reporting.level_order import sort_rows
from influbayes.reporting.plain import make_plain
from influbayes.reporting.provenance import list_versions
from influbayes.reporting.schemas import CONVERSION, find_violations
from influbayes.reporting.sentences import Statement, make_statements
from influbayes.reporting.setting import read_setting
from influbayes.reporting.terms import describe_model
from influbayes.tables.posts import PostsTable

SCHEMA_VERSION = 1
_VERDICTS = {
    "ok": "All checks passed: the fit can be believed as far as its model goes.",
    "partly_withheld": "The fit passed, but some statements are withheld; each says why.",
    "withheld": "The fit did not pass its own checks: nothing is concluded from it.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionResult:
    """One question answered: its fit, estimates, claims with their probabilities (by claim id), checks."""

    fit: Fit
    effects: tuple[Effect, ...]
    claims: tuple[Claim, ...]
    probabilities: Mapping[str, Probability]
    checks: tuple[PredictiveCheck, ...]
    calibration: Calibration | None
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionAnalysis:
    """The whole study of one table of posts.

    `questions` holds engagement_constant and as_bought (only as_bought where nothing is marked after_purchase);
    `choice` says in a sentence which specification was used and why; `prob` is the mass of the intervals.
    """

    posts: PostsTable
    questions: tuple[QuestionResult, ...]
    choice: str
    prob: float
    seed: int
    command: str
    choices: Choices | None = None


def collect_results(
    analysis: ConversionAnalysis, *, mermaid: str | None = None, created: str | None = None
) -> dict[str, Any]:
    """Return results.json as plain data.

    Parameters
    ----------
    analysis
        The finished study.
    mermaid
        The model as mermaid text, where it was drawn.
    created
        Time of writing, ISO 8601; now where not given. It stands in ``provenance.created`` only.

    Returns
    -------
    dict
        The keys of ``results.schema.json``, version 1. Numbers that are not finite are None, and each is listed under
        ``nulls`` with its place and reason.
    """
    questions = analysis.questions
    effects = [row for question in questions for row in question.effects]
    diagnostics = [item for question in questions for item in question.diagnostics]
    evidence = gather_evidence(diagnostics, [claim for question in questions for claim in question.claims])
    document = {
        "schema_version": SCHEMA_VERSION,
        "study": "conversion",
        "status": evidence.verdict.status,
        "window_days": analysis.posts.window_days,
        "data": _account(analysis),
        "choice": analysis.choice,
        "model": describe_model([question.fit.design for question in questions], mermaid=mermaid),
        "engine": _describe_engine(questions),
        "fits": [_describe_fit(question, alone=len(questions) == 1) for question in questions],
        "diagnostics": [asdict(item) for item in diagnostics],
        "effects": [asdict(row) for row in effects],
        "withheld_effects": list_withheld_effects(effects, evidence),
        "frequentist": [] if analysis.choices is None else list_frequentist(analysis.choices),
        "decisions": [],
        "checks": [_describe_check(question, check) for question in questions for check in question.checks],
        "calibration": [_describe_calibration(question) for question in questions if question.calibration is not None],
        "creators": list(_list_creators(analysis)),
        "provenance": _describe_provenance(analysis, created),
    }
    document["decisions"] = _describe_decisions(analysis, evidence, document)
    plain, nulls = make_plain(document)
    statements = _make_statements(questions, plain, evidence)
    spoken, more = make_plain([asdict(row) for row in statements], path="/statements")
    return {**plain, "headline": _make_headline(statements, evidence), "statements": spoken, "nulls": nulls + more}


def _describe_decisions(
    analysis: ConversionAnalysis, evidence: Evidence, document: Mapping[str, Any]
) -> list[dict[str, Any]]:
    if analysis.choices is None:
        return []
    bought = next(question for question in analysis.questions if question.fit.design.question == "as_bought")
    return describe_choices(
        analysis.choices,
        references={term.column: term.reference for term in bought.fit.design.factors},
        sort=lambda rows: sort_rows(document, rows),
        prob=analysis.prob,
        withheld=evidence.verdict.status == "withheld",
        withheld_pairs={q.fit.design.question: _list_withheld_pairs(q, evidence) for q in analysis.questions},
        on_prior=[
            question.fit.design.question
            for question in analysis.questions
            if any(item.name == "separation" and item.consequence != "none" for item in question.diagnostics)
        ],
    )


def _list_withheld_pairs(question: QuestionResult, evidence: Evidence) -> dict[tuple[str, str], str]:
    """(level, reference) -> why the gate withholds their comparison."""
    meanings = {(item.name, item.subject): item.meaning for item in evidence.diagnostics}
    return {
        (str(claim.level), str(claim.reference)): " ".join(
            meanings.get((name, claim.id), f"The check {name} failed.") for name in evidence.claims[claim.id]
        )
        for claim in question.claims
        if claim.kind == "beats" and claim.id in evidence.claims
    }


def write_results(results: Mapping[str, Any], path: str | Path) -> None:
    """Write results.json: strict JSON in UTF-8, keys sorted, a newline at the end.

    Raises
    ------
    OutputError
        The file could not be written.
    """
    try:
        Path(path).write_bytes(encode_results(results))
    except OSError as error:
        raise OutputError(
            f"{path}: could not be written ({error.strerror}). Is there space, and may you write there?"
        ) from error


def encode_results(results: Mapping[str, Any]) -> bytes:
    """Return the bytes of results.json."""
    text = json.dumps(results, allow_nan=False, ensure_ascii=False, indent=1, sort_keys=True)
    return f"{text}\n".encode()


def read_results(path: str | Path) -> dict[str, Any]:
    """Return a results.json that was written whole, checked against the schema.

    Raises
    ------
    IncompleteRun
        The file is missing, is not JSON, is of a newer version or does not hold what the schema asks for.
    """
    try:
        results = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise IncompleteRun(f"{path}: not a whole results.json ({error}). Run the analysis again.") from error
    if not isinstance(results, dict):
        raise IncompleteRun(f"{path}: not a results.json, but a {type(results).__name__}. Run the analysis again.")
    problems = validate_results(results)
    if problems:
        raise IncompleteRun(f"{path}: not a results.json of version {SCHEMA_VERSION}: {problems[0]}")
    return results


def validate_results(results: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is wrong with plain results by the shipped JSON Schema, one message each; empty where all is well."""
    return find_violations(results, CONVERSION)


def list_facts(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return what MANIFEST.json repeats of a results.json: draws, chains, status, digests, seed, versions."""
    provenance, engine = results["provenance"], results["engine"]
    return {
        "study": results["study"],
        "status": results["status"],
        "draws": engine["draws"],
        "chains": engine["chains"],
        "seed": provenance["seed"],
        "data_digest": results["data"]["digest"],
        "specification_digest": provenance["specification"]["digest"],
        "versions": provenance["versions"],
        "schema_version": results["schema_version"],
    }


def _account(analysis: ConversionAnalysis) -> dict[str, Any]:
    terms = {term.column: term for question in analysis.questions for term in question.fit.design.factors}
    crossed = [column for column, term in terms.items() if term.levels == "all"]
    return account_data(analysis.posts, factors=list(terms), crossed=crossed)


def _describe_engine(questions: Sequence[QuestionResult]) -> dict[str, Any]:
    run = questions[0].fit.run
    certificates = {question.fit.design.question: question.fit.run.certificate for question in questions}
    return {
        "name_asked": run.name_asked,
        "name_used": run.name_used,
        "why": run.why,
        "draws": run.draws,
        "chains": run.chains,
        "seconds": sum(question.fit.run.seconds for question in questions),
        "certificate": certificates if any(value is not None for value in certificates.values()) else None,
    }


def _describe_fit(question: QuestionResult, *, alone: bool) -> dict[str, Any]:
    design = question.fit.design
    return {
        "question": design.question,
        "specification": design.specification.name,
        "posterior_file": name_posterior(design.question, alone=alone),
        "engine": {field.name: getattr(question.fit.run, field.name) for field in fields(question.fit.run)},
        "diagnostics": dict(sorted(Counter(item.status for item in question.diagnostics).items())),
        "left_out": list(design.left_out),
        "rows": len(design.rows),
        "numerics": [
            {"column": column, "transform": scaler.transform, "centre": scaler.centre, "scale": scaler.scale}
            for column, scaler in zip(design.numeric_names, design.scalers, strict=True)
        ],
    }


def name_posterior(question: str, *, alone: bool) -> str:
    """Return the file of a question's draws in a run folder; the only question of a run has `posterior.nc`."""
    return "posterior.nc" if alone or question == "engagement_constant" else f"posterior_{question}.nc"


def _describe_check(question: QuestionResult, check: PredictiveCheck) -> dict[str, Any]:
    return {"question": question.fit.design.question, **asdict(check)}


def _describe_calibration(question: QuestionResult) -> dict[str, Any]:
    curve = question.calibration
    names = ("predicted", "observed", "lower", "upper")
    columns = [getattr(curve, name).tolist() for name in names]
    points = [dict(zip(names, point, strict=True)) for point in zip(*columns, strict=True)]
    return {"question": question.fit.design.question, "points": points}


def _list_creators(analysis: ConversionAnalysis) -> Iterator[dict[str, Any]]:
    columns = {
        term.column: None
        for question in analysis.questions
        for term in question.fit.design.factors
        if term.levels == "sample"
    }
    expected = _index_expected(analysis)
    for column in columns:
        for level, counts in count_levels(analysis.posts, column).items():
            yield {"variable": column, "level": level, **counts, "expected": expected.get((column, level), {})}


def _index_expected(analysis: ConversionAnalysis) -> dict[tuple[str, str], dict[str, Any]]:
    """(variable, level) -> question -> the expected value, 0 to 1, over the level's own posts."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (row for question in analysis.questions for row in question.effects):
        if row.estimand == "expected_value" and row.level is not None:
            numbers = {"effect": row.id, "estimate": row.estimate, "lower": row.lower, "upper": row.upper}
            found.setdefault((row.variable, row.level), {})[row.question] = numbers
    return found


def _describe_provenance(analysis: ConversionAnalysis, created: str | None) -> dict[str, Any]:
    specification = analysis.questions[0].fit.design.specification
    return {
        "versions": list_versions(),
        "seed": analysis.seed,
        "prob": analysis.prob,
        "command": analysis.command,
        "created": created or datetime.now(UTC).isoformat(timespec="seconds"),
        "specification": {
            "name": specification.name,
            "title": specification.title,
            "digest": hashlib.sha256(specification.source.encode()).hexdigest(),
            "text": specification.source,
        },
    }


def _make_statements(
    questions: Sequence[QuestionResult], plain: Mapping[str, Any], evidence: Evidence
) -> tuple[Statement, ...]:
    claims, _ = make_plain([_describe_claim(question, claim) for question in questions for claim in question.claims])
    return make_statements(
        sort_rows(plain, claims), plain["effects"], evidence=evidence, setting=read_setting(plain["model"])
    )


def _describe_claim(question: QuestionResult, claim: Claim) -> dict[str, Any]:
    """Return a claim without its draws, with its probability; a claim without one has None and is withheld."""
    row = {field.name: getattr(claim, field.name) for field in fields(claim) if field.name != "margin"}
    probability = question.probabilities.get(claim.id)
    numbers = dict.fromkeys(("mcse", "at_least", "at_most")) if probability is None else asdict(probability)
    return {**row, "probability": numbers.pop("value", None), **numbers}


def _make_headline(statements: Sequence[Statement], evidence: Evidence) -> dict[str, Any]:
    found = {row.question: {"text": row.text, "statement": row.id} for row in statements if row.kind == "headline"}
    return {
        "as_bought": found.get("as_bought"),
        "engagement_constant": found.get("engagement_constant"),
        "verdict": {
            "status": evidence.verdict.status,
            "text": _VERDICTS[evidence.verdict.status],
            "reasons": list(evidence.verdict.reasons),
        },
    }
