"""Generation by servers in place of this process: everything else, learning, scoring and references, stays here.

    meet and rehearse once  ->  for each batch: publish where weights have changed, prove, ask, prove again

A `LocalPolicy` whose `elsewhere` is a `Served` answers through it. A batch is proven before it is asked for and after it has
come, and nothing is learnt of a batch that was not.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sharpen.core import FatalDiagnosis, Sampling, UserError
from sharpen.engines import meeting, proof, publish, transport, wire
from sharpen.engines.pool import Pool, Replica, Work
from sharpen.engines.publish import Published
from sharpen.engines.routes import SGLANG, Said, Wrong
from sharpen.models.engine import generate as engine

BATCH = "X-Sharpen-Batch"  # batch:number:of how many; a server that likes may run them together
KEPT = 16  # published policies that a server is compared with, beside the first
CONTROL_S = 120.0  # seconds for what is no generation: loading weights, probes
SECONDS = 1800.0  # until the next answer
LOOKED = 2  # rows of each replica's whose log-probabilities are computed here, too


class Served:
    """Servers at these addresses, and the directory below which weights are published to them.

    seconds  until the next answer of a batch, however often a request is sent
    keep     published directories that stay, the latest ones
    whole    how whole weights go to vLLM: it reads the directory, or gets them by NCCL (nccl.py)
    """

    def __init__(
        self,
        urls: Sequence[str],
        place: Path,
        seconds: float = SECONDS,
        keep: int = 2,
        say: Callable[[str], None] = lambda text: None,
        whole: transport.Transport = transport.WHOLE,
    ):
        self.place, self.seconds, self.keep, self.say, self.whole = place.absolute(), seconds, keep, say, whole
        self.pool = Pool([wire.address(url) for url in urls], self.revive)
        self.lock = threading.RLock()  # one batch at a time; weights change only between two
        self.writing, self.to_come = threading.Lock(), set[str]()  # published for batches to come
        self.now: proof.Expected | None = None
        self.before: list[proof.Expected] = []
        self.names = set[str]()  # of all that this run has published
        self.changes = -1  # of the policy's weights, when they were last published
        self.noise: dict[str, float] = {}
        self.probe = np.zeros(0, dtype=np.int32)
        self.end_ids: Sequence[int] = ()
        self.longest = 0
        self.claims = meeting.claim([r.url for r in self.pool.replicas])

    def close(self) -> None:
        for held in self.claims:
            held.close()
        for replica in self.pool.replicas:
            wire.close(replica.url)

    def meet(self, policy: Any) -> None:
        """Look at every server before anything is asked, and see it take other weights. UserError where one is not there, or
        is not of this model."""
        if not len(self.probe):
            self.probe, self.end_ids = proof.text(policy), policy.end_ids
            found = [meeting.look(replica, policy, self.probe, self.until()) for replica in self.pool.replicas]
            for replica in self.pool.replicas if self.whole is transport.WHOLE else ():
                if replica.route is not SGLANG:
                    meeting.renews_head(replica.url, policy, self.until())
            self.longest = min((n for n in found if n), default=0)
            known = {r.route.name for r in self.pool.replicas}
            self.say(
                f"{len(found)} engines answer: {', '.join(r.url for r in self.pool.replicas)} ({', '.join(sorted(known))})"
            )
            self.rehearse(policy)

    def rehearse(self, policy: Any) -> None:
        """Have every server run visibly other weights for a moment, proven like any.

        A server mostly has the first weights already, and an adapter at its beginning changes nothing: that they are right
        proves nothing of what comes. A policy that processes share is not rehearsed with.
        """
        if policy.ranks:
            return
        self.bring(policy)
        assert self.now is not None
        own, measured = self.now, self.noise
        with proof.altered(policy, own.logprobs):
            other = self.publish(policy)
        rough = {url: max(noise, proof.ROUGH) for url, noise in measured.items()}
        for self.now, self.before, self.noise in ((other, [own], rough), (own, [own, other], measured)):
            self.pool.each(self.give)
            self.pool.each(self.prove)
            self.alike()
        self.before = []
        self.changes = policy.changes  # the weights are what they were
        if other.published.name != own.published.name:
            self.pool.each(partial(forget, self, other.published))
        with self.writing:
            self.to_come.discard(other.published.name)
            publish.prune(self.place, {own.published.name} | self.to_come)

    def alike(self) -> None:
        """FatalDiagnosis where servers that sum up their weights, tensor by tensor, do not hold the same bits.

        That is finer than a text's log-probabilities. It takes seconds with large models, so it is looked at when servers are
        met."""
        assert self.now is not None
        first: dict[frozenset[str], tuple[str, Mapping[str, str]]] = {}
        for url, sums in self.pool.each(lambda r: self.transport(r).sums(r, self.until())).items():
            other, known = first.setdefault(frozenset(sums), (url, sums))  # those who share a model out alike
            if apart := sorted(name for name in sums if sums[name] != known[name]):
                raise FatalDiagnosis(
                    f"replicas_differ (tensors {len(apart)}): {url} and {other} were given the same weights "
                    f"({self.now.published.name}), and by their own sums they do not hold the same ones: {', '.join(apart[:3])}"
                    f"{', …' if len(apart) > 3 else ''}. Start both again alike, then begin or resume the run."
                )

    def until(self) -> float:
        return time.monotonic() + CONTROL_S

    def publish(self, policy: Any) -> proof.Expected:
        """The policy's weights as they are, on the disk for the servers; they need not run them yet."""
        with self.writing:
            published = publish.write(policy, self.place)
            self.to_come.add(published.name)
            self.names.add(published.name)
        return proof.expected(policy, published)

    def bring(self, policy: Any, given: proof.Expected | None = None) -> None:
        """Have every server run the weights of this policy, or those given, and prove it."""
        self.meet(policy)
        if given is None and policy.changes == self.changes:
            return
        wanted = given or self.publish(policy)
        self.changes = -1 if given else policy.changes
        if self.now and wanted.published.name == self.now.published.name:
            with self.writing:
                self.to_come.discard(wanted.published.name)  # it has come
            return
        old = self.now
        if old:
            self.before = [*self.before[:1], *self.before[1:][-KEPT:], old]
        self.now = wanted
        self.pool.each(self.give)
        self.pool.each(self.prove)  # once all have been given them, so that one that is behind stands out
        if all(r.stale for r in self.pool.replicas):
            self.wait_for_one()
        self.retire(old)

    def wait_for_one(self) -> None:
        """Until one replica is back. FatalDiagnosis where none comes."""
        work = Work(0, b"", 0)
        self.pool.give_back(self.pool.take(work, time.monotonic() + self.seconds, threading.Event()), work)

    def give(self, replica: Replica) -> None:
        """Have one server load the present weights. NoReply where it does not answer, FatalDiagnosis where it will not."""
        assert self.now is not None
        published, by = self.now.published, self.transport(replica)
        if replica.given and not published.adapter:
            says = by.running(replica, self.until())
            self.alone(replica, says if says.startswith(publish.PREFIX) else "")  # one that began anew says something else
        replica.given = True
        try:
            by.give(replica, published, self.until())
        except wire.NoReply as error:
            if error.status and error.status < 600:
                published.whole()  # the fault is ours, if it is not whole
                raise FatalDiagnosis(
                    f"not_loaded: {replica.url} does not load the weights {published.path}: {error}. The directory is whole as "
                    "seen from here; the server has to see it under the same path. Nothing was learnt; begin or resume the run "
                    "when it does."
                ) from error
            raise
        if published.adapter:
            replica.model = published.name

    def alone(self, replica: Replica, says: str) -> None:
        """FatalDiagnosis where a server runs what another run has published to it since it was given ours."""
        if says and says not in self.names:
            raise FatalDiagnosis(
                f"another_run: {replica.url} runs {says}, which this run has not published: another run publishes to it, and "
                "the two would overwrite each other's work. Nothing was learnt of what it said since it was last proven. Give "
                "each run servers of its own, then begin or resume it."
            )

    def revive(self, replica: Replica) -> None:
        """A server that was away runs the present weights again, as a new one would."""
        wire.text(replica.url, "/health", None, self.until())
        replica.started = meeting.started(replica.url, self.until())
        if self.now is not None:
            self.give(replica)
            self.prove(replica)
            self.say(f"{replica.url} is back and has the weights in use")

    def transport(self, replica: Replica) -> transport.Transport:
        adapter = self.now is not None and self.now.published.adapter
        return transport.SGLANG if replica.route is SGLANG else transport.ADAPTER if adapter else self.whole

    def prove(self, replica: Replica) -> None:
        """FatalDiagnosis, which names the fault, where a server does not run the present weights."""
        assert self.now is not None
        name = self.now.published.name
        says = self.transport(replica).running(replica, self.until())
        started = meeting.started(replica.url, self.until())
        restarted, replica.started = bool(replica.started and started != replica.started), started
        if restarted and says != name:
            raise wire.NoReply(f"{replica.url} was started again and has not the weights in use")
        self.alone(replica, says)
        said = self.scored(replica)
        off = proof.gap(said, self.now.logprobs)
        if replica.url not in self.noise:
            self.noise[replica.url] = min(off, proof.FIRST_GAP)
            if off > proof.FIRST_GAP:
                self.stop(replica, "wrong_weights", off, "weights that compute something else than ours")
        found = proof.fault(said, self.now, self.before, self.noise[replica.url])
        if found is None:
            if says and says != name or (says == "" and self.now.published.adapter):
                self.stop(replica, "stale_weights", off, f"{says or 'no adapter of ours'}, as it says itself")
            return
        kind, off, whose = found
        if restarted:
            kind = "engine_restarted"
        elif kind == "stale_weights" and len(self.pool.replicas) > 1 and self.others_agree(replica):
            kind = "replica_behind"
        self.stop(replica, kind, off, whose)

    def others_agree(self, behind: Replica) -> bool:
        """Whether every other replica has the present weights by now."""
        assert self.now is not None
        others = [r for r in self.pool.replicas if r is not behind and not r.stale]
        noises = [self.noise.get(r.url, 0.0) for r in others]
        return not any(proof.fault(self.scored(r), self.now, self.before, n) for r, n in zip(others, noises, strict=True))

    def scored(self, replica: Replica) -> np.ndarray:
        """What a server says of the fixed text: (P,) log-probabilities."""
        request = engine.Request(self.probe, 1, 1, Sampling())
        found = self.ask(replica, request, self.until(), prompt=True).prompt
        assert found is not None  # `Route.read` sees to it
        return found

    def stop(self, replica: Replica, name: str, off: float, whose: str) -> None:
        assert self.now is not None
        raise FatalDiagnosis(
            f"{name} (nats {off:.3g}): {replica.url} should run version {self.now.published.version} "
            f"({self.now.published.name}), and what it computes is that of {whose}. Nothing was learnt of what it said since "
            "it was last proven. Start that server again, then begin or resume the run."
        )

    def ask(self, replica: Replica, request: engine.Request, until: float, prompt: bool = False, batch: str = "") -> Said:
        """One request to one server. NoReply, or FatalDiagnosis where it says what must not be learnt from."""
        route = replica.route
        body = route.body(request, replica.model, self.end_ids, prompt)
        try:
            reply = wire.call(replica.url, route.path, body, until, {BATCH: batch} if batch else None)
            return route.read(reply, request, prompt)
        except Wrong as error:
            raise FatalDiagnosis(
                f"{error.name}: {replica.url}: {error}. Nothing was learnt of it. vLLM from 0.28 on gives what is needed; see "
                "docs/scaling.md for how to start it."
            ) from error

    def generate(
        self,
        policy: Any,
        requests: Sequence[engine.Request],
        finish: Callable[[int, engine.Generation], None],
        tick: Callable[[float], None] = lambda share: None,
    ) -> None:
        """As `models.engine.generate`, by the servers. `finish` is called in this thread."""
        if any(request.hook for request in requests):
            raise UserError("this method changes what each token is drawn from, inside the model: run it without --engines.")
        if not requests:
            return
        given = vars(policy).get("published")  # earlier weights, of a policy that has gone on since
        policy = policy.ranks.front if policy.ranks else policy
        with self.lock:
            self.bring(policy, given)
            self.fits(requests)
            batch, who = uuid.uuid4().hex, dict[int, Replica]()
            written: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

            def ask(replica: Replica, piece: Work, until: float) -> Said:
                who[piece.number] = replica
                first = replica is piece.home and not piece.tries
                place = f"{batch}:{piece.number}:{piece.beside}" if first else ""
                return self.ask(replica, requests[piece.number], until, batch=place)

            def taken(number: int, said: Said) -> None:
                request = requests[number]
                made = cut(policy, request, said, who[number].url)
                written[number] = request.prompt, made.tokens, made.logprobs
                finish(number, made)

            work = [Work(i, r.prompt.tobytes(), len(r.prompt) + r.max_tokens) for i, r in enumerate(requests)]
            try:
                self.pool.run(work, ask, taken, self.seconds, tick)
            except wire.NoReply as error:
                raise refused(error) from error
            self.pool.each(self.prove)
            if given is None:
                self.look_at_rows(policy, requests, who, written)

    def look_at_rows(self, policy: Any, requests: Sequence[engine.Request], who: Any, written: Any) -> None:
        """Compute the log-probabilities of a few rows of every replica's here, too."""
        for replica in self.pool.replicas:
            numbers = [i for i in sorted(written) if who[i] is replica][:LOOKED]
            for how in {requests[i].sampling for i in numbers}:
                rows = [written[i] for i in numbers if requests[i].sampling == how]
                proof.check_rows(policy, rows, how, replica.url, self.noise.get(replica.url, 0.0))

    def fits(self, requests: Sequence[engine.Request]) -> None:
        """FatalDiagnosis where a request is longer than what the servers were started for."""
        need = max((len(r.prompt) + r.max_tokens for r in requests), default=0)
        if self.longest and need > self.longest:
            raise FatalDiagnosis(
                f"short_context (tokens {need}, servers {self.longest}): a server would end answers that are not at their end. "
                f"Start the servers with --max-model-len {need} or more, or ask for fewer tokens (--set max_tokens=…)."
            )

    def retire(self, old: proof.Expected | None) -> None:
        """Drop what is out of use, at the servers and on the disk."""
        assert self.now is not None
        kept = [e.published for e in (*self.before, self.now)][-self.keep :]
        names = {p.name for p in kept}
        for gone in {e.published for e in self.before if e.published.name not in names}:
            if gone.path.is_dir():
                self.pool.each(partial(forget, self, gone))
        with self.writing:
            self.to_come.discard(self.now.published.name)
            publish.prune(self.place, names | self.to_come)


def forget(served: Served, gone: Published, replica: Replica) -> None:
    try:
        served.transport(replica).forget(replica, gone, served.until())
    except wire.NoReply as error:
        if not error.refused:  # it has forgotten it already
            raise


def refused(error: wire.NoReply) -> FatalDiagnosis:
    return FatalDiagnosis(
        f"engine_refused: {error}. It understood the request and will not answer it, so no other replica would. Its log says "
        "more; mend that, then begin or resume the run."
    )


def cut(policy: Any, request: engine.Request, said: Said, where: str) -> engine.Generation:
    """What a server wrote up to the token that ends it here: an end token, or the fewest tokens that hold a stop string."""
    if (largest := int(said.tokens.max())) >= (size := policy.model.config.get_text_config().vocab_size):
        raise FatalDiagnosis(
            f"other_ids (token {largest}): {where} wrote a token that the student has none of: its vocabulary ends at "
            f"{size - 1}. It is of another model. Nothing was learnt of it; start it from the student's directory."
        )
    ends = np.flatnonzero(np.isin(said.tokens, policy.end_ids))
    n, stop = (int(ends[0]) + 1, "end") if len(ends) else (len(said.tokens), "")
    strings = request.sampling.stop
    if strings and any(s in policy.text(said.tokens[:n]) for s in strings):
        n = next(k for k in range(1, n + 1) if any(s in policy.text(said.tokens[:k]) for s in strings))
        stop = "stop"
    if not stop and n < request.max_tokens:
        raise FatalDiagnosis(
            f"ended_early (tokens {n}): {where} ended an answer without an end token before {request.max_tokens} tokens were "
            "written: its context is shorter than ours, or it has other end tokens. Nothing was learnt of it."
        )
    return engine.Generation(said.tokens[:n], said.logprobs[:n], stop or "length")
