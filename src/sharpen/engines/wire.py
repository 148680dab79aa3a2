"""JSON over HTTP with a deadline: connections stay open for the next request, and every failure is `NoReply`."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from sharpen.core import UserError

KEY = "SHARPEN_ENGINE_KEY"  # environment variable: where it is set, servers are sent it
LARGEST = 2**28  # bytes of a reply
CHUNK = 2**16
CONNECT_S = 5.0  # seconds until a connection is there: a host that is cut off says nothing
UNHEARD_S = 20.0  # seconds until what was sent has arrived
USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", 0)  # Linux
IDLE = 1024  # connections to one server that stay open
SAID = 300  # characters of a server's words that a message repeats


class NoReply(Exception):
    """A server gave nothing that can be used. `status` is HTTP's, 0 where none came; `late`: the deadline passed."""

    def __init__(self, why: str, status: int = 0, late: bool = False):
        super().__init__(why)
        self.status, self.late = status, late

    @property
    def refused(self) -> bool:
        """Whether the server understood and said no: another one would say the same."""
        return 400 <= self.status < 500 and self.status not in (408, 409, 425, 429)


_lock = threading.Lock()
_idle: dict[str, list[http.client.HTTPConnection]] = {}  # by address
_busy: dict[str, set[http.client.HTTPConnection]] = {}  # a request is under way on them


def address(url: str) -> str:
    """An engine's address as `http://host:port`, without what may stand behind. UserError for what is none."""
    parts = urlsplit(url.strip())
    try:
        port, wrong = parts.port, False
    except ValueError:
        port, wrong = None, True
    if wrong or parts.scheme not in ("http", "https") or not parts.hostname or (parts.path not in ("", "/", "/v1", "/v1/")):
        raise UserError(f"--engines {url!r}: this is no address. It looks like http://host:8000; several are joined by commas.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port or (443 if parts.scheme == 'https' else 80)}"


def call(
    url: str, path: str, body: Mapping[str, Any] | None, until: float, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The JSON that a server replies with, {} where it says nothing, before the moment `until` of the monotonic clock.

    body  None: a GET. Raises NoReply.
    """
    try:
        found = json.loads(text(url, path, body, until, headers) or "{}")
    except (ValueError, RecursionError) as error:
        raise NoReply(f"{url}{path} replied with what is no JSON") from error
    return found if isinstance(found, dict) else {"value": found}


def listed(url: str, path: str, key: str, until: float) -> list[dict[str, Any]]:
    """The objects of a list that a server keeps under a name; what else is there is left out."""
    found = call(url, path, None, until).get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def text(url: str, path: str, body: Mapping[str, Any] | None, until: float, headers: Mapping[str, str] | None = None) -> str:
    """As `call`, the reply as it is."""
    sent = {"Content-Type": "application/json", **(headers or {})}
    if key := os.environ.get(KEY, ""):
        sent["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    for again in (True, False):
        connection, fresh = taken(url, until)
        try:
            connected(url, connection, until)
            connection.request("GET" if data is None else "POST", path, data, sent)
            reply = connection.getresponse()
            said = received(connection, reply, until)
        except (OSError, http.client.HTTPException, ValueError) as error:
            was_cut = not left_alone(url, connection)
            connection.close()
            close(url)  # the others are of the same server
            late = time.monotonic() >= until or isinstance(error, TimeoutError)
            if again and not fresh and not late and not was_cut:
                continue  # a connection that the server had given up meanwhile
            why = "the deadline has passed" if late else f"{type(error).__name__}: {error}"
            raise NoReply(f"{url}{path}: {why}", late=late) from error
        given_back(url, connection, reply.will_close)
        if not 200 <= reply.status < 300:
            words = "" if said.lstrip().startswith("<") else f": {' '.join(said.split())[:SAID]}"  # a page says nothing here
            raise NoReply(f"{url}{path}: HTTP status {reply.status}{words}", reply.status)
        return said
    raise AssertionError("unreachable")


def taken(url: str, until: float) -> tuple[http.client.HTTPConnection, bool]:
    """A connection to a server, and whether it is a new one; a wait on it ends at that moment."""
    left = until - time.monotonic()
    if left <= 0:
        raise NoReply(f"{url}: the deadline has passed", late=True)
    with _lock:
        idle = _idle.get(url)
        connection = idle.pop() if idle else None
    fresh = connection is None
    if connection is None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=left)
    with _lock:
        _busy.setdefault(url, set()).add(connection)
    return connection, fresh


def connected(url: str, connection: http.client.HTTPConnection, until: float) -> None:
    """It is connected, and a wait on it ends at that moment. OSError where it cannot be, or was cut meanwhile."""
    if connection.sock is None:
        connection.timeout = min(max(until - time.monotonic(), 0.001), CONNECT_S)
        try:
            connection.connect()
        except TimeoutError as error:
            raise ConnectionError(f"no connection within {connection.timeout:.3g} s") from error
        if USER_TIMEOUT and connection.sock is not None:
            connection.sock.setsockopt(socket.IPPROTO_TCP, USER_TIMEOUT, int(1000 * UNHEARD_S))
    connection.timeout = max(until - time.monotonic(), 0.001)
    connection.sock.settimeout(connection.timeout)
    with _lock:
        if connection not in _busy.get(url, ()):
            raise ConnectionError("it was cut")


def left_alone(url: str, connection: http.client.HTTPConnection) -> bool:
    """Its request is over. Whether nobody has cut it."""
    with _lock:
        busy = _busy.get(url, set())
        alone = connection in busy
        busy.discard(connection)
    return alone


def given_back(url: str, connection: http.client.HTTPConnection, over: bool) -> None:
    """The next request to that server takes it, unless it is over."""
    alone = left_alone(url, connection)
    with _lock:
        idle = _idle.setdefault(url, [])
        if alone and not over and len(idle) < IDLE:
            idle.append(connection)
            return
    connection.close()


def received(connection: http.client.HTTPConnection, reply: http.client.HTTPResponse, until: float) -> str:
    """The body. A socket's own timeout starts again with every byte, so the clock is looked at between pieces."""
    parts, size = [], 0
    while part := reply.read1(CHUNK):
        parts.append(part)
        size += len(part)
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if size > LARGEST:
            raise ValueError(f"a reply of more than {LARGEST >> 20} MiB")
        if connection.sock is not None:
            connection.sock.settimeout(left)
    reply.close()  # else the connection waits for more of it, and takes no further request
    return b"".join(parts).decode("utf-8", "replace")


def close(url: str) -> None:
    """Close what is open to a server and not in use."""
    with _lock:
        idle = _idle.pop(url, [])
    for connection in idle:
        connection.close()


def cut(url: str) -> None:
    """End the requests that are under way at a server: who waits for them gets NoReply at once."""
    with _lock:
        busy = _busy.pop(url, set())
    for connection in busy:
        if (sock := connection.sock) is not None:
            with contextlib.suppress(OSError):  # it is over already
                sock.shutdown(socket.SHUT_RDWR)
