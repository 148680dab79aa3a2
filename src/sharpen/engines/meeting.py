"""The first look at a server: is it there, of this model, with this tokenizer and template, and what does it understand?"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from sharpen.core import Sampling, UserError
from sharpen.engines import nccl, proof, wire
from sharpen.engines.pool import Replica
from sharpen.engines.routes import ROUTES, Wrong
from sharpen.models.engine import generate
from sharpen.terminal import places

THERE_S = 30.0  # seconds to say that it is there
VERSION_S = 5.0  # seconds to say which version it is, for a message
UNKNOWN = (404, 405, 501)  # statuses of a route that is not there
STARTED = re.compile(r"^process_start_time_seconds(?:\{[^}]*\})? (\S+)", re.MULTILINE)


def claim(urls: Sequence[str]) -> list[TextIO]:
    """Hold each address as long as this process lives. UserError where another run of this machine publishes to it."""
    if len(set(urls)) < len(urls):
        raise UserError("--engines names an address twice. Each server is named once, with commas between them.")
    held: list[TextIO] = []
    place = places.cache_directory() / "engines"
    place.mkdir(parents=True, exist_ok=True)
    for url in urls:
        path = place / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.lock"
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            for other in held:
                other.close()
            raise UserError(
                f"another_run: {url} is used by another run of this machine, and two runs would overwrite each other's work. "
                "Give each run servers of its own, or wait."
            ) from error
        held.append(file)
    return held


def there(urls: Sequence[str]) -> None:
    """UserError where an address is none, or nobody answers at it: said before a model is loaded for them."""
    for url in map(wire.address, urls):
        answers(url, time.monotonic() + THERE_S)


def answers(url: str, until: float) -> None:
    """UserError where no engine answers."""
    try:
        wire.text(url, "/health", None, until)
    except wire.NoReply as error:
        raise UserError(
            f"--engines: {error}. No engine answers there. Start it (docs/scaling.md says how), or name another address."
        ) from error


def look(replica: Replica, policy: Any, probe: np.ndarray, until: float) -> int:
    """Find out how a server is asked, and that it is of the student's model; returns its context in tokens, 0 if unknown.

    UserError where it is not there, speaks another version, or its tokenizer or template differs.
    """
    url = replica.url
    answers(url, until)
    try:
        about = next((m for m in wire.listed(url, "/v1/models", "data", until) if not m.get("parent")), {})
        replica.model = str(about.get("id", ""))
        replica.started = started(url, until)
        replica.route = route(replica, policy, probe, until)
        same_tokens(url, replica.model, policy, until)
    except wire.NoReply as error:
        raise UserError(f"--engines: {error}. {version(url)} Start the engine again, or name another.") from error
    longest = about.get("max_model_len")
    return longest if isinstance(longest, int) else 0


def version(url: str) -> str:
    try:
        told = wire.call(url, "/version", None, time.monotonic() + VERSION_S)
        return f"It says it is version {told.get('version', 'unknown')}."
    except wire.NoReply:
        return "It does not say which version it is."


def started(url: str, until: float) -> str:
    """When a server's process began, "" where it does not say."""
    try:
        found = STARTED.search(wire.text(url, "/metrics", None, until))
    except wire.NoReply as error:
        if error.status:
            return ""
        raise
    return found.group(1) if found else ""


def route(replica: Replica, policy: Any, probe: np.ndarray, until: float) -> Any:
    """The first route that the server has. UserError where it has none, or answers with what is not understood."""
    request = generate.Request(probe[:8], 1, 1, Sampling())
    for one in ROUTES:
        try:
            reply = wire.call(replica.url, one.path, one.body(request, replica.model, policy.end_ids, True), until)
            one.read(reply, request, prompt=True)
            return one
        except wire.NoReply as error:
            if error.status not in UNKNOWN:
                raise
        except Wrong as error:
            raise UserError(
                f"{error.name}: {replica.url}{one.path}: {error}. {version(replica.url)} vLLM 0.28 or later speaks what "
                "is needed here."
            ) from error
    names = ", ".join(one.path for one in ROUTES)
    raise UserError(
        f"other_version: {replica.url} has none of {names}. {version(replica.url)} Start vLLM 0.28 or later, or SGLang."
    )


def same_tokens(url: str, model: str, policy: Any, until: float) -> None:
    """UserError where the server makes other tokens of the same words, or other words of the same messages."""
    messages = [{"role": "user", "content": proof.TEXT}]
    ours = {
        "tokenizer": (policy.encode(proof.TEXT), {"model": model, "prompt": proof.TEXT, "add_special_tokens": False}),
        "template": (
            policy.encode(policy.render(json.dumps(messages), True)),
            {"model": model, "messages": messages, "add_generation_prompt": True},
        ),
    }
    for what, (tokens, body) in ours.items():
        try:
            theirs = wire.call(url, "/tokenize", body, until).get("tokens")
        except wire.NoReply as error:
            if error.status in UNKNOWN or error.status == 400:  # it has no such route, or no template: nothing to compare
                continue
            raise
        if theirs != tokens.tolist():
            raise UserError(
                f"{what}_differs: {url} makes other tokens of the same {'text' if what == 'tokenizer' else 'messages'} than "
                f"the student's own {what}, so it is of another model. Start it from the student's "
                "directory."
            )


def renews_head(url: str, policy: Any, until: float) -> None:
    """UserError where whole weights would leave a server's output matrix as it is.

    For a processor vLLM packs each matrix and computes with the packed copy. When weights are loaded again, it packs again what
    the files name, and a matrix that is tied to the embeddings is in no file: logits stay those of the first one (0.32.0).
    """
    if policy.lora or not getattr(policy.model.config.get_text_config(), "tie_word_embeddings", False):
        return
    try:
        told = wire.call(url, "/server_info?config_format=json", None, until)
    except wire.NoReply:  # it does not say; each publish is proven anyway
        return
    config = told.get("vllm_config")
    device = config.get("device_config") if isinstance(config, dict) else None
    if isinstance(device, dict) and device.get("device") == "cpu":
        raise UserError(
            f"head_kept: {url} is vLLM on a processor, and this model's output matrix is its embeddings. vLLM computes with a "
            "packed copy of it there that no new weights reach, so answers would come of old and new weights mixed. Train an "
            "adapter (--set lora=16; start the server with --enable-lora --max-lora-rank 16), or serve on a GPU."
        )


def directory(run: Path, given: str | None) -> Path:
    """Where a run publishes: in its own directory, unless the user names a place that the servers see, too.

    There every run has a directory of its own, also those of one name: what a run has no use for any more it removes.
    """
    if not given or given == nccl.NAME:
        return (run / "published").absolute()
    own = hashlib.sha256(f"{socket.gethostname()}:{run.absolute()}".encode()).hexdigest()[:8]
    return (Path(given) / f"{run.name}-{own}").absolute()
