"""The server: starlette and uvicorn, on the loopback address, for whoever has the token.

A page is made here, escaped, and works without its script; the script puts in what is new and goes on with long searches. The
same addresses answer in JSON where `Accept: application/json` asks for it. What a model wrote is text in all of them.
"""

from __future__ import annotations

import asyncio
import hmac
import importlib.util
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from sharpen.core import UserError
from sharpen.store import asked
from sharpen.view import answers
from sharpen.view.site import Refused, Site, address, site_of

__all__ = ["PORT", "address", "application", "require", "serve", "site_of"]

HOSTS = ("127.0.0.1", "localhost", "[::1]")
PORT = 8484  # where no other is asked for; another where it is taken
LARGEST = 1 << 18  # bytes of a form
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # without one, a form has no origin to be known by
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}


def require() -> None:
    """UserError with the command that installs what is missing."""
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"the page needs {' and '.join(missing)}, not installed here: pip install 'sharpen[view]'")


def serve(site: Site, at: socket.socket, ready: Callable[[Any], None] = lambda server: None) -> None:
    """Answer until stopped. `ready` is given the server (`should_exit` stops it)."""
    import uvicorn

    config = uvicorn.Config(
        application(site),
        log_level="warning",
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=30,
    )
    server = uvicorn.Server(config)
    ready(server)
    server.run(sockets=[at])


def application(site: Site) -> Any:
    """The ASGI application."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    def guarded(answer: Callable[[Site, Any], Any]) -> Any:
        async def endpoint(request: Any) -> Any:
            try:
                if entered := entering(site, request):
                    return entered
                allow(site, request)
                if request.method == "POST":
                    request.state.form = await form_of(request)
                reply = await asyncio.to_thread(answer, site, request)
            except Refused as refused:
                reply = answers.shown(site, request, "refused.html.j2", {"message": refused.message}, refused.status)
            except asked.Taken as taken:
                reply = answers.shown(site, request, "refused.html.j2", {"message": str(taken)}, 409)
            except UserError as error:
                reply = answers.shown(site, request, "refused.html.j2", {"message": str(error)}, 400)
            reply.headers.update({k: v for k, v in HEADERS.items() if k not in reply.headers})
            return reply

        return endpoint

    pages = {"": answers.overview, "/rollouts": answers.rollouts, "/rollouts/{id}": answers.rollout}
    pages |= {"/compare": answers.compare, "/lineage": answers.lineage_of, "/labels": answers.labels, "/report": answers.report}
    pages |= {"/events": answers.events}
    acts = {"/decide": answers.decide, "/order": answers.order}
    routes = [
        Route("/", guarded(answers.index)),
        Route("/page.js", guarded(answers.script)),
        Route("/loops/{loop}", guarded(answers.loop)),
        Route("/loops/{loop}/events", guarded(answers.loop_events)),
        *(Route(f"/{{run}}{path}", guarded(answer)) for path, answer in pages.items()),
        *(Route(f"/{{run}}{path}", guarded(answer), methods=["POST"]) for path, answer in acts.items()),
    ]

    async def other(request: Any, error: Any) -> Any:
        from starlette.responses import PlainTextResponse

        return PlainTextResponse("There is nothing here.", status_code=error.status_code, headers=HEADERS)

    return Starlette(routes=routes, exception_handlers={404: other, 405: other})


# Who may ask.


def entering(site: Site, request: Any) -> Any:
    """Somebody comes with the token in the address: it goes into a cookie, and out of the address."""
    from starlette.responses import RedirectResponse

    given = request.query_params.get("token")
    if given is None or request.method != "GET" or not hmac.compare_digest(given.encode(), site.token.encode()):
        return None
    rest = [(key, value) for key, value in request.query_params.multi_items() if key != "token"]
    reply = RedirectResponse(quote(request.url.path) + (f"?{urlencode(rest)}" if rest else ""), 303, headers=HEADERS)
    reply.set_cookie(f"sharpen-{site.port}", site.token, httponly=True, samesite="strict")
    return reply


def allow(site: Site, request: Any) -> None:
    """Raises Refused for whoever has no token; for who asks by another name than this machine's, which a page elsewhere can
    make lead here; and for who decides from another page than this."""
    host = request.headers.get("host", "")
    if host not in [f"{name}:{site.port}" for name in HOSTS]:
        raise Refused(403, "This page is for this machine only: ask for it as 127.0.0.1.")
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    cookie = request.cookies.get(f"sharpen-{site.port}", "")
    if hmac.compare_digest(bearer.encode(), site.token.encode()):
        return
    if not hmac.compare_digest(cookie.encode(), site.token.encode()):
        raise Refused(401, "Open the address that `sharpen view` printed: it has the token in it.")
    if request.method == "POST" and request.headers.get("origin") != f"http://{host}":
        raise Refused(403, "This was not sent from the page itself.")


async def form_of(request: Any) -> dict[str, str]:
    """The fields of a form, the last of each. Raises Refused."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST:
            raise Refused(413, f"What was sent is larger than {LARGEST >> 10} KiB.")
        parts.append(part)
    try:
        return dict(parse_qsl(b"".join(parts).decode(), keep_blank_values=True, max_num_fields=20, errors="strict"))
    except ValueError as error:
        raise Refused(400, f"What was sent is no form: {error}.") from error
