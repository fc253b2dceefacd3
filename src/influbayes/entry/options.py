"""Reads words that several entries take, and refuses those that would be without effect.

Takes what the parser gives; makes plain values or a `UsageError` that names the option. Knows no study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from influbayes.errors import UsageError


def list_pairs(pairs: Sequence[str], option: str, *, form: str = "NAME=VALUE") -> list[tuple[str, str]]:
    """Split the words of an option at their `=`; UsageError names the first word that is no `form`."""
    split = [pair.partition("=") for pair in pairs]
    wrong = [pair for pair, (left, sign, right) in zip(pairs, split, strict=True) if not (left and sign and right)]
    if wrong:
        raise UsageError(f"{option} {wrong[0]!r}: write {option} {form}.")
    return [(left.strip(), right.strip()) for left, _, right in split]


def split_pairs(pairs: Sequence[str], option: str) -> dict[str, str]:
    """Split the Column=VALUE words of an option; UsageError where a column comes twice with two values."""
    listed = list_pairs(pairs, option, form="Column=VALUE")
    found = dict(listed)
    twice = sorted({name for name, value in listed if found[name] != value})
    if twice:
        values = " and ".join(repr(value) for name, value in listed if name == twice[0])
        raise UsageError(f"{option}: {twice[0]} is given as {values}. Give it once.")
    return found


def check_prob(prob: float) -> None:
    """Refuse a mass of intervals outside 0.5 to 0.999."""
    if not 0.5 <= prob <= 0.999:
        raise UsageError(f"--prob {prob:g}: the mass of an interval lies between 0.5 and 0.999; 0.9 is the default.")


def refuse_idle(options: Mapping[str, object], *, where: str, remedy: str) -> None:
    """Refuse options that were given but would have no effect.

    Parameters
    ----------
    options
        Option as written on the command line -> what was given; None, False and an empty list are nothing.
    where
        Ends the sentence "--window-days has no effect ...": "without --ledger".
    remedy
        What would give them an effect: "Add --ledger DIR".
    """
    idle = [name for name, given in options.items() if given is not None and given is not False and given != []]
    if idle:
        has, them = ("has", "it") if len(idle) == 1 else ("have", "them")
        raise UsageError(f"{' and '.join(idle)} {has} no effect {where}. {remedy}, or leave {them} out.")


def refuse_idle_overwrite(*, overwrite: bool, out: object) -> None:
    """Refuse --overwrite without --out: a default folder is always a new one, so nothing would be replaced."""
    if out is None:
        refuse_idle({"--overwrite": overwrite}, where="without --out", remedy="Name the run to replace with --out DIR")
