"""Machines that are processes of this one (`local://2x8`): what a cluster does, without a cluster. For tests, and to measure.

A node is a server of `multiprocessing.managers` that makes `Spawn`s. Kill it, and all that ran there is gone.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any

from sharpen.core import UserError
from sharpen.workers.child import end_with
from sharpen.workers.spawn import Spawn
from sharpen.workers.there import Gone

START_S = 60.0  # until a node is there
BOOT = "import json, sys; sys.path[:] = json.loads(sys.argv[1])\nfrom sharpen.workers.nodes import serve; serve(sys.argv[2:])"
AWAY = (EOFError, ConnectionError, FileNotFoundError)  # what its proxies raise


class Manager(BaseManager):
    """What a node offers."""


Manager.register("Spawn", Spawn, exposed=("write", "shut", "read", "ended", "signal"))


def serve(given: Sequence[str]) -> None:
    """In the node: make children until this process's parent is gone."""
    address, parent = given
    end_with(int(parent))
    manager = Manager(address=address, authkey=bytes.fromhex(sys.stdin.readline().strip()))
    server = manager.get_server()
    print("ready", flush=True)
    server.serve_forever()


class Node:
    """A process in a machine's place."""

    def __init__(self, folder: Path, number: int) -> None:
        key, address = secrets.token_bytes(16), str(folder / str(number))
        self.name = f"node {number}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", BOOT, json.dumps(sys.path), address, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(key.hex() + "\n")
        self.process.stdin.flush()
        there = select.select([self.process.stdout], [], [], START_S)[0]
        if not there or self.process.stdout.readline().strip() != "ready":
            self.close()
            raise UserError(f"{self.name} of --workers does not start.")
        self.manager = Manager(address=address, authkey=key)
        self.manager.connect()

    def spawn(self, *given: Any) -> Any:
        try:
            return Known(self.name, self.manager.Spawn(*given))  # type: ignore[attr-defined]
        except AWAY as error:
            raise Gone(f"{self.name} is gone") from error

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Known:
    """`Handle` of a node's child."""

    def __init__(self, node: str, proxy: Any) -> None:
        self.node, self.proxy = node, proxy

    def asked(self, name: str, *given: Any) -> Any:
        try:
            return getattr(self.proxy, name)(*given)
        except AWAY as error:
            raise Gone(f"{self.node} is gone") from error

    def write(self, data: bytes) -> bool:
        return self.asked("write", data)

    def shut(self) -> None:
        self.asked("shut")

    def read(self, seconds: float) -> bytes | None:
        return self.asked("read", seconds)

    def ended(self, seconds: float) -> str | None:
        return self.asked("ended", seconds)

    def signal(self) -> None:
        self.asked("signal")

    def drop(self) -> None:
        """The node forgets it with the proxy."""


class Nodes:
    """`Place` of so many nodes with so many workers each. One that is gone is left out."""

    here = True

    def __init__(self, nodes: int, each: int) -> None:
        self.slots = nodes * each
        self.folder = tempfile.TemporaryDirectory(prefix="sharpen-nodes-")
        self.nodes: list[Node] = []
        try:
            for number in range(nodes):
                self.nodes.append(Node(Path(self.folder.name), number))
        except BaseException:
            self.close()
            raise
        self.made = 0

    def spawn(self, boot: str, args: Sequence[str], path: Sequence[str], env: Mapping[str, str]) -> Any:
        for _ in range(len(self.nodes)):
            self.made += 1
            node = self.nodes[self.made % len(self.nodes)]
            if node.process.poll() is None:
                return node.spawn(boot, args, path, env)
        raise UserError(
            f"workers_gone: none of the {len(self.nodes)} nodes of --workers is left. Start them, then resume the run."
        )

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        self.folder.cleanup()
