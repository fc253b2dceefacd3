"""Options that would be without effect are refused with code 2; pairs are read alike in every entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from influbayes import attribute, fit, roas
from influbayes.entry.options import check_prob, list_pairs, split_pairs
from influbayes.errors import UsageError

IDLE = [
    (
        fit,
        ["--window-days", "3"],
        "--window-days has no effect without --ledger. Add the folder: --ledger DIR, or leave it out.",
    ),
    (
        fit,
        ["--overwrite"],
        "--overwrite has no effect without --out. Name the run to replace with --out DIR, or leave it out.",
    ),
    (
        roas,
        ["--overwrite"],
        "--overwrite has no effect without --out. Name the run to replace with --out DIR, or leave it out.",
    ),
    (
        roas,
        ["--payout", "whole", "--filter", "platform=Instagram"],
        "--payout has no effect where no orders are left out. Add --from, --to, --after-first-post or --filter by "
        "product, campaign or source, or leave it out.",
    ),
    (
        attribute,
        ["--overwrite"],
        "--overwrite has no effect without --out. Name the run to replace with --out DIR, or leave it out.",
    ),
    (
        attribute,
        ["--model", "none", "--engine", "nuts", "--chains", "4"],
        "--engine and --chains have no effect with --model none. Name a sign-up model with --model, or leave them out.",
    ),
    (
        attribute,
        ["--direct", "Derect", "--model", "none"],
        "--direct Derect: no session has this channel. There are: ",
    ),
    (fit, ["--map", "Fee=cost", "--map", "Fee=price"], "--map: Fee is given as 'cost' and 'price'. Give it once."),
]


@pytest.mark.parametrize(("entry", "words", "said"), IDLE)
def test_an_option_without_effect_is_code_2_and_leaves_nothing(
    entry: Any,
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert entry.main([*words, "--quiet"]) == 2
    name = entry.__name__.rpartition(".")[2]
    assert capsys.readouterr().err.startswith(f"influbayes {name}: {said}")
    assert list(tmp_path.iterdir()) == []


def test_pairs_keep_their_order_and_lose_their_blanks() -> None:
    assert list_pairs(["a = x", "b=y=z", "a=w"], "--filter") == [("a", "x"), ("b", "y=z"), ("a", "w")]
    assert split_pairs(["a=x", "a=x", "b=y"], "--map") == {"a": "x", "b": "y"}


@pytest.mark.parametrize("word", ["a", "=x", "a=", ""])
def test_a_word_that_is_no_pair_is_named(word: str) -> None:
    with pytest.raises(UsageError, match=f"^--map {word!r}: write --map NAME=VALUE.$"):
        list_pairs(["b=y", word], "--map")


@pytest.mark.parametrize("prob", [0.49, 1.0, float("nan"), -1.0])
def test_a_mass_of_intervals_outside_its_range_is_refused(prob: float) -> None:
    with pytest.raises(UsageError, match=r"the mass of an interval lies between 0\.5 and 0\.999"):
        check_prob(prob)
