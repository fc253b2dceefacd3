"""Every key of a TOML text is found in its line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest

from influbayes.hierarchy.toml_lines import KeyPath, locate_keys

AWKWARD = '''title = "a # b = [c]"  # comment = 1

[outcome]
column = 'Con"verted'

[intercept]
prior = { normal = [0, 1.5] } # { normal = [0, 9] }
[[numeric]]
"column" = "A"
prior.normal = [
  0,   # mean ]
  1,
]
note = """
[[factor]]
column = "not a key"
"""
[[numeric]]
column = "B"
[numeric.prior]
normal = [0, 1]

[[factor]]
column = "C\\\\"
scale_prior = {half_student_t=[4,1]}
other = \'\'\'
levels = 1\'\'\'
"dotted.name" = 1979-05-27T07:32:00Z
'''


def _walk(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(inner, (*path, key))
    if isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _walk(inner, (*path, position))


def test_every_path_that_tomllib_sees_has_a_line_and_no_other():
    assert set(locate_keys(AWKWARD)) == set(_walk(tomllib.loads(AWKWARD)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("title",), "title ="),
        (("outcome",), "[outcome]"),
        (("outcome", "column"), "column = 'Con"),
        (("intercept", "prior", "normal"), "prior = { normal = [0, 1.5]"),
        (("numeric", 0), "[[numeric]]"),
        (("numeric", 0, "column"), '"column" = "A"'),
        (("numeric", 0, "prior"), "prior.normal"),
        (("numeric", 0, "prior", "normal", 1), "  1,"),
        (("numeric", 1, "column"), 'column = "B"'),
        (("numeric", 1, "prior"), "[numeric.prior]"),
        (("factor", 0, "column"), 'column = "C'),
        (("factor", 0, "scale_prior", "half_student_t"), "scale_prior"),
        (("factor", 0, "dotted.name"), '"dotted.name"'),
    ],
)
def test_a_path_is_in_the_line_that_writes_it(path, text):
    line = AWKWARD.splitlines()[locate_keys(AWKWARD)[path] - 1]
    assert line.startswith(text)


def test_arrays_of_tables_inside_arrays_of_tables_are_counted_apart():
    lines = locate_keys("[[a]]\n[[a.b]]\n[[a.b]]\n[[a]]\n[[a.b]]\nx = 1\n")
    assert lines["a", 0, "b", 1] == 3
    assert lines["a", 1, "b", 0, "x"] == 6
