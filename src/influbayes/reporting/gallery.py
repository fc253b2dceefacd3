"""Draws the pictures of a study on every core: in copies of this process from the moment they can be drawn, and here.

Takes named tasks, each a function that draws figures; gives PNG bytes. Copies and this process take the tasks from one
heap (a pipe that holds a byte for each), so that none is drawn twice and nobody waits while one is left. What a copy
fails to bring is drawn here. The pictures are the same bytes wherever they are drawn. Knows no study.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from influbayes.reporting.copies import Copies, Copy, collect_output
from influbayes.reporting.parcels import Images, pack_images, unpack_images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Task = Callable[[], "Mapping[str, Figure | None]"]
"""Draws figures by name; None where there is nothing to show."""

_MOST_TASKS = 256  # a task is one byte


@dataclass(frozen=True, slots=True, kw_only=True)
class Heap:
    """Tasks that wait for whoever is free, and the copy that was started with them."""

    tasks: Mapping[str, Task]
    pipe: int
    copy: Copy | None = None


@dataclass(slots=True)
class Gallery:
    """The pictures of one study; a context that closes its pipes."""

    copies: Copies
    _heaps: list[Heap] = field(default_factory=list)
    _closing: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing.close()

    def begin(self, tasks: Mapping[str, Task]) -> None:
        """Let a copy start on tasks whose results may be wanted; where there are no copies nothing happens."""
        if not self.copies.allowed or not tasks:
            return
        heap = Heap(tasks=dict(tasks), pipe=_fill_pipe(len(tasks)))
        self._closing.callback(os.close, heap.pipe)
        heaps = [heap, *self._heaps]
        copy = self.copies.start(lambda: pack_images(dict(_work_off(heaps))))
        self._heaps.append(Heap(tasks=heap.tasks, pipe=heap.pipe, copy=copy))

    def has_begun(self, name: str) -> bool:
        """Return whether a task of that name lies on a heap."""
        return any(name in heap.tasks for heap in self._heaps)

    def finish(self, tasks: Mapping[str, Task]) -> Images:
        """Return the pictures of all `tasks`, in their order; those begun under other names are thrown away."""
        wanted = [heap for heap in reversed(self._heaps) if set(heap.tasks) <= set(tasks)]
        found = dict(_work_off(wanted))
        for heap in self._heaps:
            data = collect_output(heap.copy) if set(heap.tasks) & set(tasks) else None
            found |= {} if data is None else unpack_images(data)
        images: Images = {}
        for name, task in tasks.items():
            images |= found[name] if name in found else paint(task)
        return images


def paint(task: Task) -> Images:
    """Return the pictures of one task as PNG."""
    from influbayes.reporting.plots import save_figure
    from influbayes.reporting.plots_style import drawing_style

    with drawing_style():
        figures = dict(task())
    return {name: save_figure(figure) for name, figure in figures.items() if figure is not None}


def _fill_pipe(count: int) -> int:
    """Return the reading end of a pipe that holds a byte for each task and then ends."""
    if count > _MOST_TASKS:
        raise ValueError(f"{count} tasks; a heap holds {_MOST_TASKS}")
    reading, writing = os.pipe()
    os.write(writing, bytes(range(count)))
    os.close(writing)
    return reading


def _work_off(heaps: Sequence[Heap]) -> Iterator[tuple[str, Images]]:
    """Draw what is left of each heap, one task after the other."""
    for heap in heaps:
        names = list(heap.tasks)
        while taken := os.read(heap.pipe, 1):
            yield names[taken[0]], paint(heap.tasks[names[taken[0]]])
