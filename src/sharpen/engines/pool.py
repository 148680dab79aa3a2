"""Replicas of one model behind addresses: each request goes to the one with the least to do, and to another where that fails.

1. Requests with one prompt go to one replica, which runs it once (prefix affinity), unless that has far more to do than
   another.
2. A request draws from its own seed, so it does not matter who answers, nor how often it was asked.
3. A replica that does not answer leaves the pool, and so does one that is at work and does not even say that it is there: its
   host may be cut off, and would keep its requests until their deadline. It is looked at again after a while, each time twice
   as long; before it is given anything it is brought up to the weights in use (`revive`).
4. Nothing waits beyond its deadline: a batch ends where no answer comes for a while, however large it is.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from sharpen.core import FatalDiagnosis
from sharpen.engines import wire

AT_ONCE = 512  # requests under way at one replica
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0  # seconds that a replica which failed is left alone
WAIT = 0.2  # seconds between two looks at the clock
APART = 2.0  # times as much to do as the least busy replica: then a prompt is run there too
LOOK_S, THERE_S = 10.0, 30.0  # seconds between two looks at those that are at work, and until one has said that it is there
WHOLE_S = 24 * 3600.0  # for a whole batch
TRIES = 4  # at one request, all replicas together; one that is away is no try


@dataclass
class Replica:
    """One server. `outstanding`: tokens that it may still have to write; `away`: until when it is left alone."""

    url: str
    model: str = ""
    route: Any = None
    outstanding: int = 0
    away: float = 0.0
    pause: float = FIRST_PAUSE
    given: bool = False  # it has been given weights of this run
    stale: bool = False  # it was away, so nobody knows what it runs
    started: str = ""  # when its process began, where it says so
    taking: threading.Lock = field(default_factory=threading.Lock)  # held by who revives it
    why: str = ""


@dataclass
class Work:
    """One request to be sent. `tokens`: what it may cost; `key`: requests with the same key have a prompt in common."""

    number: int
    key: bytes
    tokens: int
    tries: int = 0
    home: Replica | None = None  # who is to do it, and how many pieces are his
    beside: int = 0


class Pool:
    """The replicas, and who may be asked now. `revive` makes one that was away ready again; it raises NoReply where it is
    not."""

    def __init__(self, urls: Sequence[str], revive: Callable[[Replica], None]):
        self.replicas = [Replica(url) for url in urls]
        self.revive = revive
        self.lock = threading.Condition()
        self.homes: dict[bytes, Replica] = {}

    def run(
        self,
        work: Sequence[Work],
        ask: Callable[[Replica, Work, float], Any],
        taken: Callable[[int, Any], None],
        seconds: float,
        tick: Callable[[float], None],
    ) -> None:
        """Have every piece of work asked for; `taken(number, answer)` is called in this thread.

        Raises what `ask` raises but NoReply, and FatalDiagnosis where no answer comes for so many `seconds`: how long they all
        take depends on how many they are.
        """
        self.deal(work)
        came: queue.SimpleQueue[tuple[Work, Any]] = queue.SimpleQueue()
        until, stop, latest = time.monotonic() + WHOLE_S, threading.Event(), time.monotonic()
        threads = min(len(work), AT_ONCE * len(self.replicas))
        pool, done, under_way = ThreadPoolExecutor(max(threads, 1), "sharpen-engine"), 0, list[Future[None]]()
        threading.Thread(target=self.look, args=(stop,), name="sharpen-look", daemon=True).start()
        try:
            under_way = [pool.submit(self._one, piece, ask, until, stop, came) for piece in work]
            while done < len(work):
                try:
                    piece, answer = came.get(timeout=WAIT)
                except queue.Empty:
                    if time.monotonic() > latest + seconds:
                        raise gone(self.replicas, f"no answer has come for {seconds:.0f} s") from None
                    tick(done / len(work))
                    continue
                if isinstance(answer, BaseException):
                    raise answer
                done, latest = done + 1, time.monotonic()
                taken(piece.number, answer)
        finally:
            stop.set()
            pool.shutdown(wait=done == len(work), cancel_futures=True)
            while wait(under_way, 0.0).not_done:  # it ends early: nobody waits for answers that are under way
                for replica in self.replicas:
                    wire.cut(replica.url)
                wait(under_way, WAIT)
            pool.shutdown()  # its threads have nothing left to do

    def look(self, stop: threading.Event) -> None:
        """Until then, have who is at work say that it is there. The requests of one that does not go to another."""

        def there(replica: Replica) -> None:
            try:
                wire.text(replica.url, "/health", None, time.monotonic() + THERE_S)
            except wire.NoReply as error:
                if not (error.refused or stop.is_set()):  # then it is there, or was cut off here
                    self.leave(replica, str(error))

        while not stop.wait(LOOK_S):
            busy = [r for r in self.replicas if r.outstanding and not r.stale]
            with ThreadPoolExecutor(max(len(busy), 1), "sharpen-look") as pool:
                list(pool.map(there, busy))
            for replica in self.replicas:
                if replica.stale and replica.outstanding:
                    wire.cut(replica.url)

    def _one(
        self, piece: Work, ask: Callable[[Replica, Work, float], Any], until: float, stop: threading.Event, came: Any
    ) -> None:
        """Ask for one piece of work until somebody has answered."""
        said = "nobody could be reached"
        while not stop.is_set():
            try:
                replica = self.take(piece, until, stop)
            except wire.NoReply as error:
                came.put((piece, gone(self.replicas, f"{error}; {said}")))
                return
            except BaseException as error:  # handed to the thread that waits
                came.put((piece, error))
                return
            try:
                came.put((piece, ask(replica, piece, until)))
                return
            except wire.NoReply as error:
                if stop.is_set():  # it was cut off here
                    return
                said = str(error)
                piece.tries += 1
                if error.refused or piece.tries >= TRIES * len(self.replicas):
                    came.put((piece, error))
                    return
                self.leave(replica, said)
            except BaseException as error:  # the same
                came.put((piece, error))
                return
            finally:
                self.give_back(replica, piece)

    def take(self, piece: Work, until: float, stop: threading.Event) -> Replica:
        """The replica that a piece of work goes to, its tokens counted. NoReply where there is none before `until`."""
        while not stop.is_set():
            with self.lock:
                now = time.monotonic()
                if now >= until:
                    raise wire.NoReply("the deadline has passed", late=True)
                here = [r for r in self.replicas if not r.stale and r.away <= now]
                back = [r for r in self.replicas if r.stale and r.away <= now and r.taking.acquire(blocking=False)]
                if not back and here:
                    chosen = self.chosen(piece, here)
                    chosen.outstanding += piece.tokens
                    return chosen
                if not back:
                    self.lock.wait(WAIT)
                    continue
            for replica in back:
                self.bring_back(replica)
        raise wire.NoReply("the work was given up", late=True)

    def deal(self, work: Sequence[Work]) -> None:
        """Say who is to do what, as if all were sent at once."""
        with self.lock:
            self.homes.clear()
            here = [r for r in self.replicas if not r.stale]
            for piece in work if here else ():
                piece.home = self.chosen(piece, here)
                piece.home.outstanding += piece.tokens
            shares = Counter(id(piece.home) for piece in work)
            for piece in work if here else ():
                assert piece.home is not None
                piece.beside = shares[id(piece.home)]
                piece.home.outstanding -= piece.tokens

    def chosen(self, piece: Work, here: Sequence[Replica]) -> Replica:
        if piece.home is not None and piece.home in here:
            return piece.home
        least = min(here, key=lambda r: r.outstanding)
        home = self.homes.get(piece.key)
        if home is not None and home in here and home.outstanding <= APART * (least.outstanding + piece.tokens):
            return home
        self.homes[piece.key] = least
        return least

    def bring_back(self, replica: Replica) -> None:
        """Make a replica that was away ready, or leave it alone for longer. Its lock is held, and given back."""
        try:
            self.revive(replica)
            with self.lock:
                replica.stale, replica.pause, replica.why = False, FIRST_PAUSE, ""
                self.lock.notify_all()
        except wire.NoReply as error:
            self.leave(replica, str(error))
        finally:
            replica.taking.release()

    def leave(self, replica: Replica, why: str) -> None:
        """It failed: nobody asks it for a while."""
        with self.lock:
            if replica.away <= time.monotonic():
                replica.away = time.monotonic() + replica.pause
                replica.pause, replica.why = min(2 * replica.pause, LONGEST_PAUSE), why  # the first cause, and not what follows
            replica.stale = True

    def give_back(self, replica: Replica, piece: Work) -> None:
        with self.lock:
            replica.outstanding -= piece.tokens
            self.lock.notify_all()

    def each(self, do: Callable[[Replica], Any], which: Sequence[Replica] | None = None) -> Mapping[str, Any]:
        """What `do` returns of every replica that is here, side by side, by address; one that gives no reply leaves."""
        which = [r for r in self.replicas if not r.stale] if which is None else which
        found: dict[str, Any] = {}
        with ThreadPoolExecutor(max(len(which), 1), "sharpen-engine") as pool:
            futures = [(replica, pool.submit(do, replica)) for replica in which]
            for replica, future in futures:
                try:
                    found[replica.url] = future.result()
                except wire.NoReply as error:
                    if error.refused:
                        raise
                    self.leave(replica, str(error))
        return found


def gone(replicas: Sequence[Replica], why: str) -> FatalDiagnosis:
    """Nobody answers any more."""
    said = "; ".join(f"{r.url}: {r.why or 'silent'}" for r in replicas)
    return FatalDiagnosis(
        f"engines_gone (replicas {len(replicas)}): {why}. Nothing was learnt of it ({said}). Start the servers again, then "
        "begin or resume the run."
    )
