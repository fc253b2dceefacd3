"""What a conversion study has another core do ahead of its need: regressions, a fit, pictures, files of draws.

Takes designs, fits and answers as soon as they are there; gives what the study needs next, or None where it is to be
done here. Every result is the same wherever it was made. Without copies nothing is begun, and nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from influbayes.decisions.study import fit_regressions
from influbayes.effects.frequentist import Frequentist
from influbayes.hierarchy.design import Design
from influbayes.hierarchy.posterior import Fit, save_fit
from influbayes.inference.likelihood import count_threads, hold_blas
from influbayes.reporting.copies import NO_COPIES, Copies, Copy, collect_output, open_copies
from influbayes.reporting.gallery import Gallery, Task
from influbayes.reporting.parcels import Images, pack_fit, pack_regressions, unpack_fit, unpack_regressions
from influbayes.reporting.results import ConversionAnalysis, name_posterior
from influbayes.tables.posts import PostsTable


@dataclass(slots=True)
class Ahead:
    """Work under way beside a study; `folder` is where its files of draws will be, as far as it is known."""

    copies: Copies
    gallery: Gallery
    folder: Path | None = None
    _regressions: Copy | None = None
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

    def begin_fits(self, designs: Sequence[Design], fit: Callable[[Design], Fit | None]) -> None:
        """Begin to fit designs that come later; `fit` may find that it cannot."""
        if self.copies.allowed and designs:
            # Once, here, instead of in every copy that needs them.
            import influbayes.inference.kernels
            import influbayes.reporting.plots  # noqa: F401
        for design in designs:
            self._fits[design.question] = self.copies.start(_prepare_fit(design, fit))

    def take_fit(self, design: Design) -> Fit | None:
        """Return the fit of a design that was begun, or None where it is to be fitted here."""
        data = collect_output(self._fits.get(design.question))
        return None if not data else unpack_fit(data, design)

    def begin_fit_plots(self, fits: Sequence[Fit]) -> None:
        """Begin the pictures that show fits, and the files of their draws."""
        if self.copies.allowed:
            from influbayes.reporting.plots import list_fit_plots

            self.gallery.begin({name: task for fit in fits for name, task in list_fit_plots(fit).items()})
            if self.folder is not None:
                self._saving = self.copies.start(_prepare_saving(fits, self.folder))

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
        """Return name of a file of draws -> what makes it at a path, or finds it made there already."""
        saved: list[bool] = []

        def write(path: Path, fit: Fit) -> None:
            if not saved:
                saved.append(collect_output(self._saving) is not None)
            if saved[0] and self.folder == path.parent:
                return
            path.unlink(missing_ok=True)  # what a copy began that did not get to its end
            save_fit(fit, path)

        return {name: partial(write, fit=fit) for name, fit in _name_fits(fits).items()}


@contextmanager
def work_ahead(folder: Path) -> Iterator[Ahead]:
    """Yield what begins work ahead where there is a second core; whatever is still under way is ended on the way out.

    BLAS keeps to one thread meanwhile, as its threads would wait for cores that are at work.

    Parameters
    ----------
    folder
        The hidden folder the run is written in.
    """
    with ExitStack() as stack:
        copies = stack.enter_context(open_copies(cores=count_threads()))
        gallery = stack.enter_context(Gallery(copies))
        if copies.allowed:
            stack.enter_context(hold_blas())
        yield Ahead(copies, gallery, folder)


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
