"""Worker processes that never outlive their run: they end with its interruption, its death, or its end.

Takes a number of processes; gives an executor and a way to hand it work. Knows no replication.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from influbayes.errors import SamplingFailed

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@contextmanager
def open_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give an executor of fresh processes with one thread each; on any exit none of them is left.

    Each worker watches a pipe whose other end only this process holds. It is closed where the block is left by an
    exception, and by the system where this process is killed: a worker then ends at once, in the midst of its work.

    Raises
    ------
    SamplingFailed
        A worker ended by itself (killed, or out of memory).
    """
    # Processes start afresh: a forked copy of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    watched, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(max_workers=workers, mp_context=context, initializer=_end_with, initargs=(watched,))
    try:
        with watched, held, _one_thread_each():
            try:
                yield pool
            except BaseException:
                held.close()
                raise
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
    except BrokenProcessPool as reason:
        raise SamplingFailed(
            "A worker process ended by itself: killed, or out of memory. Try again with fewer (--workers)."
        ) from reason


def submit_all[T](
    pool: ProcessPoolExecutor, function: Callable[..., T], arguments: Sequence[tuple[Any, ...]]
) -> list[Future[T]]:
    """Hand work to the pool, which starts its processes meanwhile; Ctrl-C reaches this process alone, a moment later.

    On a terminal Ctrl-C goes to every process of the group; a worker that is not held away from it prints a traceback.
    """
    mask = getattr(signal, "pthread_sigmask", None)  # not on Windows
    before = set() if mask is None else mask(signal.SIG_BLOCK, {signal.SIGINT})  # workers inherit it
    try:
        return [pool.submit(function, *words) for words in arguments]
    finally:
        if mask is not None:
            mask(signal.SIG_SETMASK, before)


def _end_with(watched: Connection) -> None:
    """In a worker: end at once when the pipe is closed at its other end."""

    def watch() -> None:
        watched.poll(None)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes started meanwhile use one thread each; more of them would only wait for one another."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update({name: "1" for name, value in before.items() if value is None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
