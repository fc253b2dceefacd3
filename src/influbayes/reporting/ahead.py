"""What a conversion study has another core do ahead of its need: fits, a comparison, pictures, files of draws.

Takes designs, fits and answers as soon as they are there; gives what the study needs next, or None where it is to be
done here. Every result is the same wherever it was made. Without copies nothing is begun, and nothing changes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from influbayes.decisions.study import fit_regressions
from influbayes.effects.frequentist import Frequentist
from influbayes.effects.model_comparison import Score
from influbayes.hierarchy.design import Design
from influbayes.hierarchy.posterior import Fit, save_fit
from influbayes.inference.engine import load_loops
from influbayes.inference.likelihood import count_threads, hold_blas
from influbayes.reporting.copies import NO_COPIES, Copies, Copy, collect_output, open_copies
from influbayes.reporting.gallery import Gallery, Task
from influbayes.reporting.interrupts import hold_interrupts
from influbayes.reporting.parcels import (
    Images,
    pack_comparison,
    pack_fit,
    pack_regressions,
    unpack_comparison,
    unpack_fit,
    unpack_regressions,
)
from influbayes.reporting.results import ConversionAnalysis, name_posterior
from influbayes.reporting.run_folder import RunPlace, name_scratch
from influbayes.tables.posts import PostsTable

Comparison = tuple[Sequence[Score], Fit | None]
"""Scores of models, and the fit without creators that is made for them, where the table has creators."""


@dataclass(slots=True)
class Ahead:
    """Work under way beside a study; files of draws are made in the folder `scratch`, where one is given."""

    copies: Copies
    gallery: Gallery
    scratch: Path | None = None
    _regressions: Copy | None = None
    _comparison: Copy | None = None
    _fits: dict[str, Copy | None] = field(default_factory=dict)
    _saving: Copy | None = None

    def begin_regressions(self, designs: Sequence[Design], posts: PostsTable, *, prob: float) -> None:
        """Begin the regressions beside the model, which need no draws."""
        if self.copies.allowed:
            self._regressions = self.copies.start(lambda: pack_regressions(_fit_all(designs, posts, prob)))

    def take_regressions(self) -> dict[str, Frequentist] | None:
        """Return the regressions of each question, or None where they are to be fitted here."""
        data = collect_output(self._regressions)
        return None if data is None else unpack_regressions(data)

    def begin_comparison(self, compare: Callable[[], Comparison]) -> None:
        """Begin to compare models; the fits they need are made in the copy."""
        if self.copies.allowed:
            self._comparison = self.copies.start(lambda: pack_comparison(*compare()))

    def take_comparison(self, plain: Design | None) -> Comparison | None:
        """Return scores and the fit of the design `plain`, or None where models are to be compared here."""
        data = collect_output(self._comparison)
        return None if data is None else unpack_comparison(data, plain)

    def begin_fits(self, designs: Sequence[Design], fit: Callable[[Design], Fit | None]) -> None:
        """Begin to fit designs that come later; `fit` may find that it cannot."""
        if not self.copies.allowed or not designs:
            return
        load_loops(designs[0])
        for design in designs:
            self._fits[design.question] = self.copies.start(_prepare_fit(design, fit), urgent=True)
        import influbayes.reporting.plots  # noqa: F401 (once, here, instead of in every copy that draws)

    def take_fit(self, design: Design) -> Fit | None:
        """Return the fit of a design that was begun, or None where it is to be fitted here."""
        data = collect_output(self._fits.get(design.question))
        return None if not data else unpack_fit(data, design)

    def begin_fit_plots(self, fits: Sequence[Fit]) -> None:
        """Begin the pictures that show fits, and the files of their draws."""
        if self.copies.allowed:
            from influbayes.reporting.plots import list_fit_plots

            self.gallery.begin({name: task for fit in fits for name, task in list_fit_plots(fit).items()})
            self._begin_saving(fits)

    def begin_answer_plots(self, analysis: ConversionAnalysis) -> None:
        """Begin the pictures that show answers to the questions."""
        if self.copies.allowed:
            from influbayes.reporting.plots import list_answer_plots

            self.gallery.begin(list_answer_plots(analysis))

    def finish_plots(self, tasks: Mapping[str, Task]) -> Images:
        """Return all pictures; what nobody has begun is shared with one more copy."""
        self.gallery.begin({name: task for name, task in tasks.items() if not self.gallery.has_begun(name)})
        return self.gallery.finish(tasks)

    def write_posteriors(self, fits: Sequence[Fit]) -> dict[str, Callable[[Path], None]]:
        """Return name of a file of draws -> what makes it at a path of that name, or moves it there."""
        saved: list[bool] = []

        def write(path: Path, fit: Fit) -> None:
            if not saved:  # one copy makes all of them
                saved.append(collect_output(self._saving) is not None)
            if saved[0] and self.scratch is not None:
                (self.scratch / path.name).replace(path)
            else:
                save_fit(fit, path)

        return {name: partial(write, fit=fit) for name, fit in _name_fits(fits).items()}

    def _begin_saving(self, fits: Sequence[Fit]) -> None:
        if self.scratch is not None:
            with suppress(OSError):  # no room, or not allowed: the study will find out by itself, and say so
                self.scratch.mkdir()
                self._saving = self.copies.start(_prepare_saving(fits, self.scratch))


@contextmanager
def work_ahead(place: RunPlace) -> Iterator[Ahead]:
    """Yield what begins work ahead where there is a second core; whatever is still under way is ended on the way out.

    BLAS keeps to one thread meanwhile, as its threads would wait for cores that are at work.
    """
    with ExitStack() as stack:
        scratch = name_scratch(place)
        stack.callback(_remove_scratch, scratch)
        copies = stack.enter_context(open_copies(cores=count_threads()))
        gallery = stack.enter_context(Gallery(copies))
        if copies.allowed:
            stack.enter_context(hold_blas())
        yield Ahead(copies, gallery, scratch)


def _remove_scratch(folder: Path) -> None:
    with hold_interrupts():
        shutil.rmtree(folder, ignore_errors=True)


def begin_nothing() -> Ahead:
    """Return one that begins nothing: everything is done when it is needed."""
    return Ahead(NO_COPIES, Gallery(NO_COPIES))


def _fit_all(designs: Sequence[Design], posts: PostsTable, prob: float) -> dict[str, Frequentist]:
    return {design.question: fit_regressions(design, posts, prob) for design in designs}


def _prepare_fit(design: Design, fit: Callable[[Design], Fit | None]) -> Callable[[], bytes]:
    def work() -> bytes:
        found = fit(design)
        return b"" if found is None else pack_fit(found)

    return work


def _name_fits(fits: Sequence[Fit]) -> dict[str, Fit]:
    return {name_posterior(fit.design.question, alone=len(fits) == 1): fit for fit in fits}


def _prepare_saving(fits: Sequence[Fit], folder: Path) -> Callable[[], bytes]:
    def work() -> bytes:
        for name, fit in _name_fits(fits).items():
            save_fit(fit, folder / name)
        return b""

    return work
