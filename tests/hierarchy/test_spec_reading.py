"""A specification is read whole, or refused with every fault, its line, its key and a remedy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from influbayes.errors import SpecificationRefused
from influbayes.hierarchy.spec import (
    FactorTerm,
    InteractionTerm,
    NormalPrior,
    NumericTerm,
    Outcome,
    ScalePrior,
    load_spec,
    parse_spec,
)

GOOD = """title = "Test"
[outcome]
column = "Converted"
[intercept]
prior = { normal = [0, 1.5] }
[[numeric]]
column = "Swipe_Ups"
transform = "log1p_standardise"
prior = { normal = [0.5, 1] }
stage = "after_purchase"
report_step = 20
[[factor]]
column = "Tier"
levels = "all"
reference = "Mega"
scale_prior = { half_student_t = [4, 0.5] }
[[factor]]
column = "Region"
levels = "all"
scale = 2.5
stage = "after_purchase"
[[factor]]
column = "Creator"
levels = "sample"
scale_prior = { exponential = [2] }
[[interaction]]
of = ["Tier", "Region"]
scale_prior = { half_cauchy = 0.5 }
"""


def refusals(text):
    with pytest.raises(SpecificationRefused) as caught:
        parse_spec(text, name="mine", file="mine.toml")
    return caught.value.problems


def refusal(old, new):
    """The one problem of GOOD with one line changed, which must be reported in that line (or at `new`'s first)."""
    assert GOOD.count(old) == 1
    (problem,) = refusals(GOOD.replace(old, new))
    assert problem.code == "IB-F09"
    assert problem.rule == "refuse"
    assert problem.file == "mine.toml"
    assert problem.message.startswith(f"line {problem.lines[0]}: ")
    assert len(problem.message) <= 600
    return problem


def line_of(text, within=GOOD):
    return within[: within.index(text)].count("\n") + 1


def test_every_key_of_the_format_is_read():
    spec = parse_spec(GOOD, name="mine")
    assert (spec.name, spec.title, spec.source) == ("mine", "Test", GOOD)
    assert spec.outcome == Outcome(column="Converted")
    assert spec.intercept == NormalPrior(mean=0, sd=1.5)
    assert spec.numerics == (
        NumericTerm(
            column="Swipe_Ups",
            transform="log1p_standardise",
            prior=NormalPrior(mean=0.5, sd=1),
            after_purchase=True,
            report_step=20,
        ),
    )
    assert spec.factors == (
        FactorTerm(
            column="Tier",
            levels="all",
            reference="Mega",
            scale_prior=ScalePrior(family="half_student_t", parameters=(4, 0.5)),
        ),
        FactorTerm(column="Region", levels="all", scale=2.5, after_purchase=True),
        FactorTerm(column="Creator", levels="sample", scale_prior=ScalePrior(family="exponential", parameters=(2,))),
    )
    assert spec.interactions == (
        InteractionTerm(of=("Tier", "Region"), scale_prior=ScalePrior(family="half_cauchy", parameters=(0.5,))),
    )


def test_what_may_be_left_out_has_its_default():
    spec = parse_spec(
        '[outcome]\nsuccesses = "won"\ntrials = "played"\n[intercept]\nprior = { normal = [0, 1] }\n'
        '[[numeric]]\ncolumn = "A"\nprior = { normal = [0, 1] }\n',
        name="mine",
    )
    assert spec.title == "mine"
    assert spec.outcome == Outcome(successes="won", trials="played")
    assert spec.numerics[0] == NumericTerm(column="A", transform="standardise", prior=NormalPrior(mean=0, sd=1))


def test_windows_line_ends_change_nothing():
    assert parse_spec(GOOD.replace("\n", "\r\n"), name="mine") == parse_spec(GOOD, name="mine")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("reference =", "refrence =", ["unknown key 'refrence'", "Did you mean reference?", "Allowed here: column"]),
        ('title = "Test"', "titel = 1", ["unknown key 'titel'", "Did you mean title?"]),
        ('title = "Test"', "title = 3", ["3 is not a plain, non-empty text in quotes", 'title = "..."']),
        ('title = "Test"', 'title = "a\\u001b[31m"', ["'a\\x1b[31m' is not a plain"]),
        ("[0.5, 1]", "[0.5, 0]", ["[0.5, 0] is not [mean, sd]", "sd above 0"]),
        ("[0.5, 1]", "[0.5, -1]", ["[0.5, -1] is not [mean, sd]"]),
        ("[0.5, 1]", "[nan, 1]", ["[nan, 1] is not [mean, sd]", "finite"]),
        ("[0.5, 1]", "[0, inf]", ["[0, inf] is not [mean, sd]"]),
        ("[0.5, 1]", "[1]", ["[1] is not [mean, sd]", "two finite numbers"]),
        ("[0.5, 1]", "[0, 1, 2]", ["[0, 1, 2] is not [mean, sd]"]),
        ("[0.5, 1]", '["0", 1]', ["['0', 1] is not [mean, sd]"]),
        ("[0.5, 1]", "[true, 1]", ["[True, 1] is not [mean, sd]"]),
        ("[0.5, 1]", f"[0, 1{'0' * 400}]", ["is not [mean, sd]"]),
        ("{ normal = [0.5, 1] }", "[0, 1]", ["not a table", "{ normal = [0, 1] }"]),
        ("{ normal = [0.5, 1] }", "{}", ["no family", "normal"]),
        ("{ normal = [0.5, 1] }", "{ cauchy = [0, 1] }", ["unknown key 'cauchy'", "Allowed here: normal"]),
        ("half_student_t = [4, 0.5]", "half_student_t = 4", ["4 is not [df, s]", "half_student_t = [4, 1]"]),
        ("half_student_t = [4, 0.5]", "half_student_t = [0, 1]", ["[0, 1] is not [df, s]"]),
        ("half_student_t = [4, 0.5]", "half_normal = 0", ["0 is not one finite number above 0", "half_normal = 1"]),
        ("half_student_t = [4, 0.5]", "half_normal = [1, 2]", ["[1, 2] is not one finite number"]),
        ("half_student_t = [4, 0.5]", "halfnormal = 1", ["unknown key 'halfnormal'", "Did you mean half_normal"]),
        ("half_student_t = [4, 0.5]", "half_normal = 1, exponential = 1", ["half_normal and exponential", "Keep one"]),
        ("scale = 2.5", "scale = 0", ["0 is not a finite number above 0", "scale = 1"]),
        ("scale = 2.5", "scale = 2.5\nscale_prior = { half_normal = 1 }", ["both scale_prior and scale", "Give one"]),
        ("scale = 2.5\n", "", ["neither scale_prior nor scale", "half_normal = 1", "scale = 2.5"]),
        ('"log1p_standardise"', '"log"', ["'log' is unknown", "standardise, log1p_standardise, none"]),
        ('"log1p_standardise"', '"standardize"', ["Did you mean standardise"]),
        ('levels = "sample"', 'levels = "some"', ["'some' is unknown", "all, sample"]),
        ('levels = "sample"\n', "", ["missing", "Allowed here: all, sample"]),
        ('scale = 2.5\nstage = "after_purchase"', 'scale = 2.5\nstage = "after"', ["Allowed here: after_purchase"]),
        ('scale = 2.5\nstage = "after_purchase"', "scale = 2.5\nstage = true", ["True is unknown", "after_purchase"]),
        ("report_step = 20", "report_step = 0", ["0 is not a finite number above 0"]),
        ("report_step = 20", "report_step = -5", ["-5 is not a finite number above 0"]),
        ("report_step = 20", 'report_step = "20"', ["'20' is not a finite number above 0"]),
        ('"Mega"', "7", ["7 is not a plain, non-empty text in quotes"]),
        ('"Swipe_Ups"', '" Swipe_Ups"', ["begins or ends with a blank", "column = 'Swipe_Ups'"]),
        ('"Swipe_Ups"', '""', ["'' is not a plain, non-empty text"]),
        ('"Swipe_Ups"', '"Converted"', ["'Converted' is already used in line 3"]),
        ('"Swipe_Ups"', '"TIER"', ["'Tier' is already used in line 7"]),
        ('"Swipe_Ups"', '"trials"', ["'trials' is a name influbayes uses itself", "--map NEW=trials"]),
        ('column = "Creator"', 'column = "draw"', ["'draw' is a name influbayes uses itself"]),
        ('column = "Creator"', 'column = "effect_Tier"', ["'effect_Tier' is a name influbayes uses itself"]),
        ('column = "Creator"', 'column = "a/b"', ["'a/b' has a slash", "--map NEW=a/b"]),
        ('levels = "sample"', 'levels = "sample"\nreference = "c1"', ["has no reference", "Delete this line"]),
        ('["Tier", "Region"]', '["Tier", "Rigion"]', ["'Rigion' is not declared as a [[factor]]", "Tier, Region"]),
        ('["Tier", "Region"]', '["Tier", "Creator"]', ["'Creator' has levels = \"sample\"", "Tier, Region"]),
        ('["Tier", "Region"]', '["Tier", "Tier"]', ["'Tier' with itself"]),
        ('["Tier", "Region"]', '["Tier"]', ["['Tier'] is not a list of two names"]),
        ('of = ["Tier", "Region"]\n', "", ["missing", 'of = ["FACTOR", "FACTOR"]']),
        ('column = "Converted"', 'column = "a"\nsuccesses = "b"\ntrials = "c"', ["column and successes and trials"]),
        ('column = "Converted"', 'trials = "c"', ["trials given", "both successes and trials"]),
        ('column = "Converted"', "", ["no column given"]),
        ("[[interaction]]", "[interaction]", ["a single table", "[[interaction]]"]),
    ],
)  # fmt: skip
def test_a_fault_is_refused_with_its_reason_and_remedy(old, new, words):
    problem = refusal(old, new)
    for word in words:
        assert word in problem.message


@pytest.mark.parametrize(
    ("old", "new", "column", "at"),
    [
        ("reference =", "refrence =", "factor[1].refrence", "reference ="),
        ("[0.5, 1]", "[0.5, 0]", "numeric[1].prior.normal", "prior = { normal = [0.5"),
        ("scale = 2.5\n", "", "factor[2].scale_prior", 'column = "Region"\n'),
        ("report_step = 20", "report_step = 0", "numeric[1].report_step", "report_step"),
        ('["Tier", "Region"]', '["Tier", "Rigion"]', "interaction[1].of", "of ="),
        ("half_cauchy = 0.5", "half_cauchy = -1", "interaction[1].scale_prior.half_cauchy", "half_cauchy"),
    ],
)
def test_a_fault_names_its_key_and_line(old, new, column, at):
    problem = refusal(old, new)
    assert problem.column == column
    expected = line_of(at) - (1 if at.startswith('column = "Region"') else 0)  # an absent key: its table's header
    assert problem.lines == (expected,)


@pytest.mark.parametrize(
    ("table", "lines", "remedy"),
    [("outcome", (1, 3), 'column = "Converted"'), ("intercept", (3, 5), "prior = { normal = [0, 1.5] }")],
)
def test_a_table_that_is_missing_is_named_with_what_to_add(table, lines, remedy):
    all_lines = GOOD.splitlines()
    (problem,) = refusals("\n".join(all_lines[: lines[0]] + all_lines[lines[1] :]))
    assert (problem.column, problem.lines) == (table, (1,))
    assert "missing" in problem.message
    assert remedy in problem.message


def test_all_faults_come_at_once_in_line_order():
    text = (
        GOOD.replace("[0, 1.5]", "[0, 0]").replace("reference =", "refrence =").replace("report_step = 20", "step = 1")
    )
    text = text.replace('"Region"]', '"Nowhere"]').replace('column = "Creator"', 'column = "Tier"')
    problems = refusals(text)
    assert [problem.column for problem in problems] == [
        "intercept.prior.normal",
        "numeric[1].step",
        "factor[1].refrence",
        "factor[3].column",
        "interaction[1].of",
    ]
    assert [problem.lines[0] for problem in problems] == sorted(problem.lines[0] for problem in problems)


def test_the_message_reads_as_file_key_line():
    text = str(refusal("report_step = 20", "report_step = 0"))
    assert text.startswith("IB-F09 mine.toml, numeric[1].report_step: line 11: 0 is not a finite number above 0.")


def test_a_pair_of_factors_interacts_once():
    again = '[[interaction]]\nof = ["Region", "Tier"]\nscale = 1\n'
    (problem,) = refusals(GOOD + again)
    assert "has an interaction already" in problem.message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("title = Test\n", 1),
        ('title = "a"\n\n[outcome\n', 3),
        ('title = "a"\ntitle = "b"\n', 2),
        ('title = "a"\nx = [1,\n', 3),
        ("x = " + "[" * 5000 + "]" * 5000, 1),
        ("x = 1" + "0" * 5000, 1),
    ],
)
def test_what_is_not_toml_is_refused_with_its_line(text, line):
    (problem,) = refusals(text)
    assert problem.lines == (line,)
    assert f"line {line}: not valid TOML" in problem.message
    assert "Correct this line." in problem.message


def list_problems(text):
    try:
        parse_spec(text, name="any")
    except SpecificationRefused as refused:
        return refused.problems
    return ()


@given(st.text(max_size=80))
def test_no_short_text_is_a_specification_and_none_crashes(text):
    assert list_problems(text)


@given(st.lists(st.sampled_from(range(GOOD.count("\n"))), max_size=40))
def test_lines_lost_or_doubled_never_crash_and_every_fault_has_a_line(kept):
    problems = list_problems("\n".join(GOOD.splitlines()[i] for i in sorted(kept)))
    assert all(problem.lines for problem in problems)


def test_an_unknown_name_is_refused_with_the_nearest_shipped_one(tmp_path):
    with pytest.raises(SpecificationRefused, match=r"Did you mean conversion") as caught:
        load_spec("convrsion")
    assert "Shipped: complete_pooling, conversion," in str(caught.value)


def test_a_folder_and_an_impossible_name_are_refused(tmp_path):
    with pytest.raises(SpecificationRefused, match="a folder, not a file"):
        load_spec(tmp_path)
    with pytest.raises(SpecificationRefused, match="not a possible name"):
        load_spec("a\0b")


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path):
    path = tmp_path / "latin.toml"
    path.write_bytes('title = "a"\n# Espa\xf1a\n'.encode("cp1252"))
    with pytest.raises(SpecificationRefused, match="line 2: not UTF-8 text"):
        load_spec(path)


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "huge.toml"
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(SpecificationRefused, match="larger than 1 MB"):
        load_spec(path)


def test_a_file_is_read_with_its_stem_as_name_and_a_byte_order_mark_ignored(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert load_spec(str(path)) == parse_spec(GOOD, name="mine")


def test_a_path_is_a_file_even_where_a_shipped_specification_has_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conversion").write_text(GOOD, encoding="utf-8")
    from pathlib import Path

    assert load_spec(Path("conversion")).title == "Test"
    assert load_spec("conversion").title != "Test"
