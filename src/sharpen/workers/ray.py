"""The machines of a Ray cluster (`ray://head:10001`, extra `ray`): every child has an actor, which Ray places on some machine.

An actor takes no processor of Ray's count: verdicts, programs and environments have as many workers each as the cluster has
processors, as they have on one machine, and none waits for another's. Ray itself is never asked to try again: who lost an actor
knows what was under way.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sharpen.core import UserError
from sharpen.workers.spawn import Spawn
from sharpen.workers.there import Gone

START_S = 120.0  # until an actor is there: a machine may have to start a process that imports
CALL_S = 20.0  # seconds beyond those that a call takes over there, after which its machine counts as away
AT_ONCE = 8  # calls of one actor


class Known:
    """`Handle` of an actor."""

    def __init__(self, cluster: Cluster, actor: Any) -> None:
        self.cluster, self.actor = cluster, actor

    def asked(self, seconds: float, name: str, *given: Any) -> Any:
        ray = self.cluster.ray
        with self.cluster.asking():
            try:
                return ray.get(getattr(self.actor, name).remote(*given), timeout=seconds + CALL_S)
            except (ray.exceptions.RayError, ConnectionError) as error:
                raise Gone(f"an actor is gone ({type(error).__name__}: {' '.join(str(error).split())[:200]})") from error

    def write(self, data: bytes) -> bool:
        return self.asked(0.0, "write", data)

    def shut(self) -> None:
        self.asked(0.0, "shut")

    def read(self, seconds: float) -> bytes | None:
        return self.asked(seconds, "read", seconds)

    def ended(self, seconds: float) -> str | None:
        return self.asked(seconds, "ended", seconds)

    def signal(self) -> None:
        self.asked(0.0, "signal")

    def drop(self) -> None:
        with self.cluster.asking():
            self.cluster.kill(self.actor)


class Cluster:
    """`Place` of a cluster. `address`: as Ray has it, or "auto" for the one that this machine belongs to.

    Raises UserError where Ray is not installed, or no cluster answers.
    """

    here = False

    def __init__(self, address: str) -> None:
        try:
            import ray
        except ImportError as error:
            raise UserError("--workers ray://… needs Ray, here and on every machine: pip install 'sharpen[ray]'.") from error
        self.ray: Any = ray
        try:
            ray.init(address, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            said = " ".join(str(error).split())[:200]
            raise UserError(
                f"--workers: no Ray cluster answers at {address} ({said}). `ray start --head` begins one."
            ) from error
        self.slots = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self.news, self.open, self.under_way = threading.Condition(), True, 0
        self.actors: set[Any] = set()

    def spawn(self, boot: str, args: Sequence[str], path: Sequence[str], env: Mapping[str, str]) -> Known:
        how = dict(num_cpus=0, scheduling_strategy="SPREAD", max_concurrency=AT_ONCE, max_restarts=0, max_task_retries=0)
        with self.asking():
            actor = self.ray.remote(Spawn).options(**how).remote(boot, args, path, env)
            self.actors.add(actor)
        known = Known(self, actor)
        known.asked(START_S, "ended", 0.0)
        return known

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Inside, Ray is asked for something. Gone once it is closed: asked then, it would begin anew by itself."""
        with self.news:
            if not self.open:
                raise Gone("the cluster was left")
            self.under_way += 1
        try:
            yield
        finally:
            with self.news:
                self.under_way -= 1
                self.news.notify_all()

    def kill(self, actor: Any) -> None:
        self.actors.discard(actor)
        with contextlib.suppress(self.ray.exceptions.RayError, ConnectionError):
            self.ray.kill(actor)

    def close(self) -> None:
        with self.news:
            self.open = False
        for actor in list(self.actors):  # so that what is asked of them comes back
            self.kill(actor)
        with self.news:
            self.news.wait_for(lambda: not self.under_way, CALL_S)
        self.ray.shutdown()
