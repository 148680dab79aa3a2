"""The server: starlette and uvicorn in front, one answering thread behind."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import importlib.util
import json
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from sharpen.core import UserError
from sharpen.serve import asked, shapes
from sharpen.serve.answering import Answering, Busy, Row, steady
from sharpen.serve.asked import Refused, Wanted
from sharpen.serve.opened import Opened
from sharpen.serve.recording import Recording

KEY = "SHARPEN_SERVE_KEY"  # environment variable: where it is set, clients have to send it
LARGEST = 2**25  # bytes of a request
LOOK_S = 1.0  # seconds after which it is looked whether the client is still there


def require() -> None:
    """UserError with the command that installs what is missing."""
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"the server needs {' and '.join(missing)}, not installed here: pip install 'sharpen[serve]'")


def serve(
    here: Opened, at: socket.socket, seconds: float, record: bool, ready: Callable[[Any], None] = lambda server: None
) -> None:
    """Answer until stopped, each request within `seconds`. `ready` is given the server (`should_exit` stops it)."""
    import uvicorn

    with contextlib.ExitStack() as after:
        kept = None
        if record:
            recording = Recording(here)
            after.callback(recording.close)
            kept = recording.keep
        answering = after.enter_context(Answering(here.policy, kept))
        config = uvicorn.Config(application(here, answering, seconds), log_level="warning", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        ready(server)
        server.run(sockets=[at])


def application(here: Opened, answering: Answering, seconds: float) -> Any:
    """The ASGI application."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    about = {"id": here.name, "object": "model", "created": int(time.time()), "owned_by": "sharpen"}
    about |= {"root": str(here.home), "max_model_len": here.longest or None}
    key = os.environ.get(KEY, "")

    async def models(request: Any) -> Any:
        allowed(request, key)
        return JSONResponse({"object": "list", "data": [about]})

    async def model(request: Any) -> Any:
        allowed(request, key)
        if request.path_params["name"] != here.name:
            raise Refused(f"the model {request.path_params['name']!r} does not exist", "model", 404, "model_not_found")
        return JSONResponse(about)

    async def health(request: Any) -> Any:
        return JSONResponse({"status": "ok"})

    async def refused(request: Any, error: Exception) -> Any:
        assert isinstance(error, Refused)
        return JSONResponse(shapes.error(error), status_code=error.status)

    async def other(request: Any, error: Any) -> Any:
        known = "there are /v1/chat/completions, /v1/completions and /v1/models"
        said = Refused(f"{request.method} {request.url.path}: {error.detail}; {known}", status=error.status_code)
        return JSONResponse(shapes.error(said), status_code=error.status_code)

    ask = partial(answered, here=here, answering=answering, seconds=seconds, key=key)
    routes = [
        Route("/v1/models", models),
        Route("/v1/models/{name:path}", model),
        Route("/health", health),
        Route("/v1/chat/completions", partial(ask, chat=True), methods=["POST"]),
        Route("/v1/completions", partial(ask, chat=False), methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers={Refused: refused, 404: other, 405: other})


def allowed(request: Any, key: str) -> None:
    given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if key and not hmac.compare_digest(given.encode(), key.encode()):
        raise Refused("the key is wrong or missing", None, 401, "invalid_api_key", "authentication_error")


async def body_of(request: Any) -> Any:
    """The JSON of a request. Raises Refused."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST:
            raise Refused(f"the request is larger than {LARGEST >> 20} MiB", status=413)
        parts.append(part)
    try:
        return json.loads(b"".join(parts))
    except (ValueError, RecursionError) as error:
        raise Refused(f"the request is no JSON: {error}") from error


async def answered(request: Any, chat: bool, here: Opened, answering: Answering, seconds: float, key: str) -> Any:
    """One request, from its JSON to the response."""
    from starlette.responses import JSONResponse, StreamingResponse

    allowed(request, key)
    wanted = asked.read(await body_of(request), chat, here)
    loop, news = asyncio.get_running_loop(), asyncio.Event()

    def changed() -> None:
        with contextlib.suppress(RuntimeError):  # the server has stopped
            loop.call_soon_threadsafe(news.set)

    rows = rows_of(wanted, time.monotonic() + seconds, changed)
    try:
        answering.add(rows)
    except Busy as error:
        raise Refused("too much is waiting: try again later", status=503, code="overloaded") from error
    short, kind = shapes.SHAPES[chat, wanted.stream]
    head = {"id": f"{short}-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": here.name}
    if wanted.stream:
        return StreamingResponse(streamed(wanted, rows, news, head, here, seconds), media_type="text/event-stream")
    try:
        while not all(row.over for row in rows):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), LOOK_S)
            news.clear()
            if await request.is_disconnected():
                break
    finally:
        for row in rows:
            row.gone = True
    finished(rows, seconds)
    return JSONResponse(shapes.whole(head, wanted, rows, here.policy.tokenizer))


def rows_of(wanted: Wanted, until: float, changed: Callable[[], None]) -> list[Row]:
    """A row for each of the n answers to each prompt; answer j draws from seed + j."""
    found = []
    for prompt in wanted.prompts:
        for j in range(wanted.n):
            seed = (wanted.seed + j) % 2**64
            row = Row(prompt, seed, wanted.max_tokens, wanted.sampling, until, changed, wanted.stream, wanted.top, wanted.echo)
            found.append(row)
    return found


def finished(rows: list[Row], seconds: float) -> None:
    """Raises Refused where an answer has failed, or came too late."""
    for row in rows:
        if row.stop == "failed":
            raise Refused(f"the model failed: {row.why}", status=500)
        if row.stop == "late" or not row.over:
            raise Refused(f"no answer within {seconds:g} s: ask for fewer tokens", status=504, code="timeout")


async def streamed(
    wanted: Wanted, rows: list[Row], news: asyncio.Event, head: dict[str, Any], here: Opened, seconds: float
) -> AsyncIterator[str]:
    """Server-sent events: pieces of text as they are written, [DONE] at the end, or an error."""
    said, read, over = [0] * len(rows), [0] * len(rows), [False] * len(rows)
    first = [True] * len(rows)
    try:
        while not all(over):
            await news.wait()
            news.clear()
            for i, row in enumerate(rows):
                end, n = row.over, len(row.written)  # the end first: what is then read is all of it
                if end:
                    finished([row], seconds)
                text = steady(row)
                if over[i] or not (text[said[i] :] or end) or (row.stop and not end):
                    continue
                piece = shapes.delta(wanted, i, text[said[i] :], row.written[read[i] : n], first[i], row, here.policy.tokenizer)
                said[i], read[i], first[i] = len(text), n, False
                over[i] = end
                yield event({**head, "choices": [piece]})
        if wanted.usage:
            yield event({**head, "choices": [], "usage": shapes.usage(wanted, rows)})
        yield "data: [DONE]\n\n"
    except Refused as error:
        yield event(shapes.error(error))
    finally:
        for row in rows:
            row.gone = True


def event(said: dict[str, Any]) -> str:
    return f"data: {json.dumps(said, ensure_ascii=False)}\n\n"
