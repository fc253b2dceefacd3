"""Pictures drawn in copies: the same bytes in the same order as drawn in place, whatever becomes of the copies."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from influbayes.decisions.study import fit_regressions
from influbayes.effects.model_comparison import Score
from influbayes.hierarchy.posterior import load_fit
from influbayes.reporting.ahead import Ahead, begin_nothing
from influbayes.reporting.copies import Copies, open_copies
from influbayes.reporting.gallery import Gallery, Task, paint
from influbayes.reporting.parcels import (
    pack_comparison,
    pack_fit,
    pack_regressions,
    unpack_comparison,
    unpack_fit,
    unpack_regressions,
)
from influbayes.reporting.plots import list_plots
from influbayes.reporting.plots_style import new_figure

if sys.platform != "linux":
    pytest.skip("copies are made on Linux alone", allow_module_level=True)

HERE = os.getpid()


def draw(name: str) -> dict[str, Figure | None]:
    figure = new_figure(2.0, title=name)
    figure.subplots().plot([1, 2, 3])
    return {name: figure, f"{name}_none": None}


def make_tasks(*names: str) -> dict[str, Task]:
    return {name: (lambda name=name: draw(name)) for name in names}


def draw_in_place(tasks: Mapping[str, Task]) -> dict[str, bytes]:
    return {name: image for task in tasks.values() for name, image in paint(task).items()}


def fail_in_a_copy(task: Task) -> Task:
    """A task that ends a copy that draws it."""

    def work() -> Mapping[str, Figure | None]:
        if os.getpid() != HERE:
            os.kill(os.getpid(), signal.SIGKILL)
        return task()

    return work


def test_pictures_are_the_same_bytes_in_the_same_order_wherever_they_are_drawn() -> None:
    tasks = make_tasks("one", "two", "three", "four")
    with open_copies(cores=2) as copies, Gallery(copies) as gallery:
        gallery.begin({name: tasks[name] for name in ("three", "one")})
        gallery.begin({name: tasks[name] for name in ("four",)})
        found = gallery.finish(tasks)
    assert found == draw_in_place(tasks)
    assert list(found) == ["one", "two", "three", "four"]


def test_pictures_begun_but_not_asked_for_are_thrown_away() -> None:
    tasks = make_tasks("kept", "withheld")
    with open_copies(cores=2) as copies, Gallery(copies) as gallery:
        gallery.begin(tasks)
        assert gallery.has_begun("withheld")
        assert list(gallery.finish({"kept": tasks["kept"]})) == ["kept"]


def test_what_a_killed_copy_does_not_bring_is_drawn_here() -> None:
    tasks = make_tasks("one", "two", "three")
    deadly = {**tasks, "two": fail_in_a_copy(tasks["two"])}
    with open_copies(cores=2) as copies, Gallery(copies) as gallery:
        gallery.begin(deadly)
        assert gallery.finish(deadly) == draw_in_place(tasks)


def test_an_error_of_a_picture_is_raised_here() -> None:
    def fail() -> Mapping[str, Figure | None]:
        raise ZeroDivisionError("no such picture")

    with open_copies(cores=2) as copies, Gallery(copies) as gallery:
        gallery.begin({"bad": fail})
        with pytest.raises(ZeroDivisionError, match="no such picture"):
            gallery.finish({"bad": fail})


def test_without_copies_nothing_is_begun() -> None:
    tasks = make_tasks("one")
    gallery = Gallery(Copies(allowed=False))
    gallery.begin(tasks)
    assert not gallery.has_begun("one")
    assert gallery.finish(tasks) == draw_in_place(tasks)


def test_pipes_are_closed() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with open_copies(cores=2) as copies, Gallery(copies) as gallery:
        gallery.begin(make_tasks("one"))
    assert len(os.listdir("/proc/self/fd")) == before


# --- the conversion study ---------------------------------------------------------------------------------------------


def work_through(analysis: Any, results: Any, ahead: Ahead) -> dict[str, bytes]:
    ahead.begin_fit_plots([part.fit for part in analysis.questions])
    ahead.begin_answer_plots(analysis)
    return ahead.finish_plots(list_plots(results, analysis))


def test_a_study_has_the_same_pictures_with_and_without_copies(
    conversion_analysis: Any, conversion_results: Any, tmp_path: Path
) -> None:
    with open_copies(cores=2) as copies, Gallery(copies) as gallery:
        ahead = Ahead(copies, gallery, tmp_path / "scratch")
        found = work_through(conversion_analysis, conversion_results, ahead)
    assert found == work_through(conversion_analysis, conversion_results, begin_nothing())
    assert len(found) > 8
    assert {name.split("_")[0] for name in found} >= {"contrasts", "forest", "map", "levels", "checks", "chains"}


def test_of_a_withheld_study_only_chains_are_handed_over(conversion_analysis: Any, conversion_results: Any) -> None:
    results = {**conversion_results, "status": "withheld"}
    with open_copies(cores=2) as copies, Gallery(copies) as gallery:
        found = work_through(conversion_analysis, results, Ahead(copies, gallery))
    assert found
    assert all(name.startswith("chains_") for name in found)


def save_all(analysis: Any, folder: Path, prepare: Callable[[Ahead], None]) -> None:
    fits = [part.fit for part in analysis.questions]
    with open_copies(cores=2) as copies, Gallery(copies) as gallery:
        ahead = Ahead(copies, gallery, folder / "scratch")
        prepare(ahead)
        for name, write in ahead.write_posteriors(fits).items():
            write(folder / name)
            loaded = load_fit(folder / name)
            fit = next(fit for fit in fits if fit.design.question == loaded.design.question)
            assert all(np.array_equal(values, loaded.draws[key]) for key, values in fit.draws.items())


def test_files_of_draws_are_made_by_a_copy(
    conversion_analysis: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from influbayes.reporting import ahead as room

    here: list[object] = []
    save = room.save_fit
    monkeypatch.setattr(room, "save_fit", lambda fit, path: (here.append(path), save(fit, path)))
    save_all(
        conversion_analysis,
        tmp_path,
        lambda ahead: ahead.begin_fit_plots([part.fit for part in conversion_analysis.questions]),
    )
    assert here == []


def test_files_of_draws_that_a_copy_left_half_made_are_made_anew(
    conversion_analysis: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from influbayes.reporting import ahead as room

    save = room.save_fit

    def save_half(fit: Any, path: Path) -> None:
        if os.getpid() != HERE:
            path.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        save(fit, path)

    monkeypatch.setattr(room, "save_fit", save_half)
    save_all(
        conversion_analysis,
        tmp_path,
        lambda ahead: ahead.begin_fit_plots([part.fit for part in conversion_analysis.questions]),
    )


# --- parcels ----------------------------------------------------------------------------------------------------------


def test_a_fit_comes_back_bit_for_bit(conversion_analysis: Any) -> None:
    fit = conversion_analysis.questions[0].fit
    odd = replace(
        fit,
        sample_stats={"lp": np.array([[np.nan, -np.inf, -0.0, 5e-324]]), "accepted": np.array([[True, False]])},
        run=replace(fit.run, rungs=({"engine": "laplace", "passed": np.True_, "value": np.float64(0.1)},)),
    )
    back = unpack_fit(pack_fit(odd), odd.design)
    assert back.run == odd.run
    assert back.design is odd.design
    for group in ("draws", "sample_stats"):
        sent, received = getattr(odd, group), getattr(back, group)
        assert list(sent) == list(received)
        for name, values in sent.items():
            assert values.dtype == received[name].dtype
            assert values.shape == received[name].shape
            assert np.ascontiguousarray(values).tobytes() == received[name].tobytes()


def test_regressions_come_back_as_they_were(conversion_analysis: Any) -> None:
    found = {
        part.fit.design.question: fit_regressions(part.fit.design, conversion_analysis.posts, 0.9)
        for part in conversion_analysis.questions
    }
    back = unpack_regressions(pack_regressions(found))
    assert repr(back) == repr(found)  # not-a-number equals itself there
    with open_copies(cores=2) as copies, Gallery(copies) as gallery:
        ahead = Ahead(copies, gallery)
        ahead.begin_regressions(
            [part.fit.design for part in conversion_analysis.questions], conversion_analysis.posts, prob=0.9
        )
        assert repr(ahead.take_regressions()) == repr(found)


def test_a_comparison_of_models_comes_back_as_it_was(conversion_analysis: Any) -> None:
    found = (
        Score(name="conversion", elpd=-101.2345678901234, difference=0.0, difference_se=0.0, above_limit=1),
        Score(name="additive", elpd=-103.1, difference=-1.9, difference_se=float("nan"), above_limit=None),
    )
    fit = conversion_analysis.questions[0].fit
    with open_copies(cores=2) as copies, Gallery(copies) as gallery:
        ahead = Ahead(copies, gallery)
        ahead.begin_comparison(lambda: (found, fit))
        scores, plain = ahead.take_comparison(fit.design)
    assert repr(scores) == repr(found)
    assert plain.run == fit.run
    assert all(np.array_equal(plain.draws[name], values) for name, values in fit.draws.items())
    assert begin_nothing().take_comparison(fit.design) is None


@pytest.mark.parametrize("designed", [True, False])
def test_a_comparison_without_a_plain_fit_comes_back_without_one(conversion_analysis: Any, designed: bool) -> None:
    design = conversion_analysis.questions[0].fit.design if designed else None
    assert unpack_comparison(pack_comparison((), None), design) == ((), None)


def test_what_has_no_place_in_a_parcel_is_refused(conversion_analysis: Any) -> None:
    fit = conversion_analysis.questions[0].fit
    with pytest.raises(TypeError, match="object has no place"):
        pack_fit(replace(fit, run=replace(fit.run, rungs=({"odd": object()},))))
