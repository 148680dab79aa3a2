"""Processes that do work side by side: none outlives this one, and none is interrupted but in good order."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from sharpen.core import FatalDiagnosis, UserError

PATIENCE = 60.0  # seconds that a worker may take to end its step
IMPORTED = ["sharpen.loop"]  # once for all workers: five seconds of a processor, most of it torch and transformers


@contextmanager
def workers(jobs: int, threads: int) -> Iterator[Callable[..., Future[None]]]:
    """How to submit a function and its arguments: to be done here and now, or by one of several processes.

    Functions return nothing and may raise UserError, FatalDiagnosis and KeyboardInterrupt; whatever else one raises ends its
    process with a traceback, and becomes a UserError here. Leaving the context interrupts what is still going on.
    """
    if jobs == 1:
        yield _now
        return
    # Workers are forked from a process that imports and does nothing else: it has no threads of Python's, and no GPU in use.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    free: SimpleQueue[Connection] = SimpleQueue()
    workers = []
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for _ in range(jobs):
                here, there = context.Pipe()
                worker = context.Process(target=_serve, args=(there, threads))
                mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # no Ctrl-C while it imports
                try:
                    worker.start()
                finally:
                    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                there.close()
                workers.append(worker)
                free.put(here)
            yield lambda function, *arguments: pool.submit(_ask, free, function, *arguments)
        finally:
            for worker in [w for w in workers if w.is_alive()]:
                os.kill(worker.pid or 0, signal.SIGINT)  # a slice in hand ends with its step, committed
            for worker in workers:
                worker.join(PATIENCE)
                worker.kill()


def _now(function: Callable[..., None], *arguments: Any) -> Future[None]:
    future: Future[None] = Future()
    function(*arguments)
    future.set_result(None)
    return future


def _ask(free: SimpleQueue[Connection], *work: Any) -> None:
    """Let a free worker do it, and raise what it raised."""
    connection = free.get()
    try:
        connection.send(work)
        error = connection.recv()
    except (EOFError, OSError):
        cure = "What it printed says why. If memory ran out, take fewer --jobs in a new --run-dir; the same command goes on."
        raise UserError(f"One of the processes that work side by side died. {cure}") from None
    finally:
        free.put(connection)
    if error:
        raise error


def _serve(connection: Connection, threads: int) -> None:
    """A worker: does what it is sent until it is interrupted, or nobody is there any more to send.

    It dies with the process that it was forked from, which ends with the one that asks.
    """
    import torch

    from sharpen.sandbox import die_with_parent

    die_with_parent(os.getppid())
    os.setsid()  # Ctrl-C is the parent's, who passes it on
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        while True:
            function, *arguments = connection.recv()
            error: BaseException | None = None
            try:
                function(*arguments)
            except (UserError, FatalDiagnosis, KeyboardInterrupt) as raised:
                error = raised
            connection.send(error)
            if isinstance(error, KeyboardInterrupt):
                return
    except (KeyboardInterrupt, EOFError):
        return
