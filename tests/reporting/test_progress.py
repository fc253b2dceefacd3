"""Progress: nothing when quiet, plain lines without a terminal, one moving line on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from influbayes.reporting import progress
from influbayes.reporting.progress import show_progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def plain_console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, force_terminal=False, width=80), text


def test_quiet_says_nothing() -> None:
    console, text = plain_console()
    with show_progress(console, quiet=True) as tell:
        tell("sampling", 0.5)
    assert text.getvalue() == ""


def test_without_a_terminal_each_new_step_is_a_line_at_most_one_a_second(clock: list[float]) -> None:
    console, text = plain_console()
    with show_progress(console) as tell:
        tell("reading the posts", 0.0)
        tell("compiling the model", 0.0)  # within the same second
        clock[0] += 1.0
        tell("sampling", 0.1)
        clock[0] += 5.0
        tell("sampling", 0.9)  # the same step
        tell("[red]writing[/b]", 0.0)
    assert text.getvalue() == "reading the posts ...\nsampling ...\n[red]writing[/b] ...\n"


def test_on_a_terminal_one_line_is_rewritten_with_the_share_done() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=80)
    with show_progress(console) as tell:
        tell("sampling", 0.25)
    assert "\x1b" in text.getvalue()


@pytest.mark.parametrize(("share", "words"), [(0.0, "sampling"), (0.256, "sampling 26%"), (1.0, "sampling")])
def test_share_is_shown_while_it_moves(share: float, words: str) -> None:
    assert progress._say("sampling", share) == words
