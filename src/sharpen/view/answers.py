"""What the server answers: pages, the same as JSON, a stream of news, and what became of a decision.

A page is made here, escaped, and works without its script. What a model wrote is text in all of them.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from sharpen.core import UserError
from sharpen.report import page
from sharpen.store import Store, asked, lineage
from sharpen.view import deciding, reading, searching, trees, watching
from sharpen.view.layouts import render
from sharpen.view.site import Refused, Site

EVERY = 2.0  # seconds between two looks for news
ALIVE = 15.0  # seconds after which a silent stream says that it lives


def wants_json(request: Any) -> bool:
    return "application/json" in request.headers.get("accept", "") or request.url.path.endswith(".json")


def shown(
    site: Site, request: Any, layout: str, found: Mapping[str, Any], status: int = 200, plain: Any = None, **more: Any
) -> Any:
    """A page, or the same as JSON: `plain` where that is not what the layout is given."""
    from starlette.responses import HTMLResponse, Response

    if wants_json(request):
        text = json.dumps(found if plain is None else plain, ensure_ascii=True, default=str)
        return Response(text, status, media_type="application/json")
    run = request.path_params.get("run") if status not in (401, 403) else None
    here = {"run": run if run in site.runs else None, "site": site, "style": page.style(), "own": own_style(), "head": ""}
    here |= {"said": request.query_params.get("said", "")[:300] if status < 400 else "", "at": request.url.path}
    if here["run"] and status < 400:
        watched = site.runs[str(run)]
        here["head"] = page.Markup(watching.parts(watched, render, time.time(), whole=False).get("head", ""))
        here["open"] = getattr(watched.look(), "disputes", 0)
    text = render(layout, **{"open": 0, "events": "", **here, **found, **more})
    return HTMLResponse(text.encode("utf-8", "replace"), status)  # a lone surrogate has no UTF-8


def own_style() -> page.Markup:
    return page.Markup(files("sharpen.view").joinpath("pages", "view.css").read_text("utf-8"))


def watched_of(site: Site, request: Any) -> watching.Watched:
    try:
        return site.runs[request.path_params["run"]]
    except KeyError:
        raise Refused(404, "There is no such run here.") from None


def script(site: Site, request: Any) -> Any:
    from starlette.responses import Response

    text = files("sharpen.view").joinpath("pages", "page.js").read_text("utf-8")
    return Response(text, media_type="text/javascript")


def index(site: Site, request: Any) -> Any:
    """The runs, and the loops around them; where there is one thing, that."""
    from starlette.responses import RedirectResponse

    if len(site.runs) + len(site.loops) == 1 and not wants_json(request):
        return RedirectResponse(f"/{next(iter(site.runs), '') or f'loops/{next(iter(site.loops))}'}", 303)
    now, rows = time.time(), []
    for name, watched in site.runs.items():
        found, live = watched.look(), reading.live(watched.directory, time.time())
        if isinstance(found, UserError):
            rows.append({"name": name, "why": str(found)})
            continue
        share, left = reading.left(found, live, now)
        about = {"name": name, "look": found, "share": share, "left": left, **watching.words(found, live, now)}
        line = [(float(r.number), r.accuracy.value) for r in found.rounds if r.accuracy]
        rows.append(about | {"line": page.charts.spark(reading.thinned(line, reading.POINTS)), "why": ""})
    plain = [{key: row[key] for key in ("name", "state", "share", "left", "why") if key in row} for row in rows]
    loops = [standing_of(name, path) for name, path in site.loops.items()]
    told = [{"name": s["key"], "why": s["why"]} | (asdict(s["standing"]) if s["standing"] else {}) for s in loops]
    return shown(site, request, "runs.html.j2", {"rows": rows, "loops": loops}, plain={"runs": plain, "loops": told})


def standing_of(name: str, directory: Path) -> dict[str, Any]:
    try:
        return {"key": name, "standing": trees.read(directory), "why": ""}
    except UserError as error:
        return {"key": name, "standing": None, "why": str(error)}


def loop(site: Site, request: Any) -> Any:
    """What an outer loop has tried."""
    name, directory = loop_of(site, request)
    found = trees.read(directory)
    made = {"s": found, "standing": page.Markup(standing(directory)), "events": f"/loops/{name}/events"}
    return shown(site, request, "loop.html.j2", made, plain=asdict(found) | {"state": found.state})


def loop_of(site: Site, request: Any) -> tuple[str, Path]:
    name = request.path_params["loop"]
    if name not in site.loops:
        raise Refused(404, "There is no such loop here.")
    return name, site.loops[name]


def standing(directory: Path) -> str:
    """The live part of a loop's page."""
    try:
        return render("standing.html.j2", s=trees.read(directory), now=time.time())
    except UserError as error:
        return render("trouble.html.j2", why=str(error), live=None)


def loop_events(site: Site, request: Any) -> Any:
    from starlette.responses import StreamingResponse

    _, directory = loop_of(site, request)
    return StreamingResponse(news(lambda: {"standing": standing(directory)}), media_type="text/event-stream")


async def news(look: Callable[[], Mapping[str, str]]) -> AsyncIterator[str]:
    """Server-sent events: a part of the page whenever it is another than before. `look` makes the parts by their ids."""
    sent: dict[str, str] = {}
    quiet = time.monotonic()
    yield "retry: 2000\n\n"
    while True:
        for name, text in (await asyncio.to_thread(look)).items():
            if sent.get(name) != text:
                sent[name], quiet = text, time.monotonic()
                yield f"event: part\ndata: {json.dumps({'id': name, 'html': text})}\n\n"
        if time.monotonic() - quiet > ALIVE:
            quiet = time.monotonic()
            yield ": alive\n\n"
        await asyncio.sleep(EVERY)


def overview(site: Site, request: Any) -> Any:
    watched = watched_of(site, request)
    made = watching.parts(watched, render, time.time())
    found = watched.look()
    if wants_json(request):
        return shown(site, request, "", {}, plain=figures(found, reading.live(watched.directory, time.time())))
    parts = {name: page.Markup(text) for name, text in made.items()}
    return shown(site, request, "overview.html.j2", {"parts": parts, "reported": (watched.directory / "report.html").is_file()})


def figures(found: Any, live: reading.Live) -> dict[str, Any]:
    """The overview as JSON."""
    if isinstance(found, UserError):
        return {"error": str(found)}
    share, left = reading.left(found, live, now := time.time())
    numbers = {key: found.number(key) for key in ("reward", "silent", "malformed", "truncated", "loss", "entropy", "mismatch")}
    return {
        "name": found.name,
        **watching.words(found, live, now),
        "step": found.step,
        "round": found.rounds[-1].number if found.rounds else 0,
        "used": share,
        "seconds_left": left,
        "kept": found.kept,
        "accuracy": found.accuracy and asdict(found.accuracy),
        "start": found.start and asdict(found.start),
        "gain": found.gain and asdict(found.gain),
        "tokens_per_second": found.speed,
        **{key: value and value[0] for key, value in numbers.items()},
        "skills": {str(arm): now and asdict(now) for arm, (now, _) in found.skills.items()},
        "findings": list(found.diagnoses),
        "disputes": found.disputes,
    }


def parts_of(watched: watching.Watched, whole: bool) -> Callable[[], Mapping[str, str]]:
    """A look for news of a run: what is as the last look was is left out."""
    known: list[int | None] = [None]

    def look() -> Mapping[str, str]:
        before = watched.version  # a look that is made meanwhile, by whomever, is shown once more and not missed
        made = watching.parts(watched, render, time.time(), whole, known[0])
        known[0] = before
        return made

    return look


def events(site: Site, request: Any) -> Any:
    from starlette.responses import StreamingResponse

    watched = watched_of(site, request)
    look = parts_of(watched, request.query_params.get("all") == "1")
    return StreamingResponse(news(look), media_type="text/event-stream")


def rollouts(site: Site, request: Any) -> Any:
    watched, given = watched_of(site, request), request.query_params
    wanted = searching.read(given)
    text = given.get("before", "")
    before = int(text[:18]) if text.isascii() and text.isdigit() else None
    with Store.open(watched.directory) as store:
        found = searching.search(store, wanted, before)
        arms = [f"{r[0]}/{r[1]}" for r in store.rows("SELECT DISTINCT family, level FROM arm_stats ORDER BY 1, 2 LIMIT 500")]
    fields = {key: str(given.get(key, ""))[:300] for key in ("text", "arm", "outcome", "purpose", "turn")}
    again = f"?{urlencode({**fields, 'before': found.further})}" if found.further is not None else None
    made = {"wanted": fields, "found": found, "again": again, "arms": arms, "more": before is not None}
    layout = "rows.html.j2" if given.get("rows") == "1" else "rollouts.html.j2"
    plain = {"rows": found.rows, "searched": found.searched, "total": found.total, "further": found.further}
    return shown(site, request, layout, made, plain=plain)


def rollout(site: Site, request: Any) -> Any:
    with Store.open(watched_of(site, request).directory) as store:
        id = request.path_params["id"]
        found = searching.one(store, id) | {"learnt": searching.learnt(store, id)}
    return shown(site, request, "rollout.html.j2", {"r": found}, plain=found)


def compare(site: Site, request: Any) -> Any:
    """Two evaluations of a run, or of two runs, on the tasks that both have."""
    watched, given = watched_of(site, request), request.query_params
    other = given.get("with") or request.path_params["run"]
    if other not in site.runs:
        raise Refused(404, "There is no such run here to compare with.")
    kind = given.get("kind", "fixed") if given.get("kind", "fixed") in searching.KINDS else "fixed"
    start = int(given.get("start", "0")) if re.fullmatch(r"\d{1,6}", given.get("start", "0"), re.ASCII) else 0
    with ExitStack() as stack:
        mine, theirs = (stack.enter_context(Store.open(path)) for path in (watched.directory, site.runs[other].directory))
        choices, others = searching.evaluations(mine), searching.evaluations(theirs)
        a, b = given.get("a") or first_of(choices), given.get("b") or last_of(others)
        side, shown_rows = None, []
        if a and b:
            answers = searching.answers(mine, a), searching.answers(theirs, b)
            side = searching.beside(*answers, kind, given.get("arm", "")[:200], start)
            shown_rows = searching.both((mine, theirs), side.rows)
    fields = {"with": other, "a": a, "b": b, "kind": kind, "arm": given.get("arm", "")[:200]}
    made = {"side": side, "rows": shown_rows, "choices": choices, "others": others, "f": fields, "start": start, "other": other}
    plain = {**fields, "counts": side and side.counts, "gain": side and side.gain and asdict(side.gain), "rows": shown_rows}
    return shown(site, request, "compare.html.j2", made, plain=plain)


def first_of(choices: Sequence[Mapping[str, Any]]) -> str:
    """The evaluation that the others are compared with: of the weights before the loop."""
    return next((c["key"] for c in reversed(choices) if c["purpose"] == "validation"), "")


def last_of(choices: Sequence[Mapping[str, Any]]) -> str:
    """Of the weights that were kept last, which are what is exported."""
    return next((c["key"] for c in choices if c["purpose"] == "validation" and c["answer"] == "better"), "")


def lineage_of(site: Site, request: Any) -> Any:
    watched, name = watched_of(site, request), request.query_params.get("of", "").strip()[:300]
    with Store.open(watched.directory) as store:
        arms = [f"{r[0]}/{r[1]}" for r in store.rows("SELECT DISTINCT family, level FROM arm_stats ORDER BY 1, 2 LIMIT 500")]
        found = lineage.trace(store, name) if name else None
        below = searching.children(store, name) if name else []
    return shown(
        site,
        request,
        "lineage.html.j2",
        {"of": name, "found": found, "arms": arms, "below": below},
        plain=found or {"arms": arms},
    )


def labels(site: Site, request: Any) -> Any:
    watched = watched_of(site, request)
    with Store.open(watched.directory) as store:
        undecided, decided = deciding.labels(store, watched.directory)
    plain = {"open": [*map(deciding.summary, undecided)], "decided": [*map(deciding.summary, decided)]}
    going = asked.holder(watched.directory) is not None
    found = {"undecided": undecided, "decided": decided, "going": going, "who": request.cookies.get("sharpen-who", "")[:60]}
    return shown(site, request, "labels.html.j2", found, plain=plain)


def report(site: Site, request: Any) -> Any:
    """The run's own report. It has no script, and could run none here."""
    from starlette.responses import HTMLResponse

    path = watched_of(site, request).directory / "report.html"
    if not path.is_file() or path.is_symlink():
        raise Refused(404, "This run has no report yet: one is written when it is finished, and by `sharpen report`.")
    return HTMLResponse(
        path.read_bytes(), headers={"content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'"}
    )


def back(site: Site, request: Any, to: str, said: str, plain: Mapping[str, Any]) -> Any:
    from starlette.responses import JSONResponse, RedirectResponse

    if wants_json(request):
        return JSONResponse({"said": said, **plain})
    return RedirectResponse(f"/{request.path_params['run']}{to}?{urlencode({'said': said})}", 303)


def may_decide(site: Site) -> None:
    if not site.decides:
        raise Refused(403, "This page only shows: it was started with --read-only.")


def decide(site: Site, request: Any) -> Any:
    may_decide(site)
    watched, form = watched_of(site, request), request.state.form
    said = deciding.decide(watched.directory, form, time.time())
    told = f"{said.answer}ed. " + (
        "The run takes it in after the round in hand." if asked.holder(watched.directory) else NOBODY
    )
    reply = back(site, request, "/labels", told[0].upper() + told[1:], {"id": said.id})
    if said.who:
        reply.set_cookie("sharpen-who", quote(said.who), samesite="strict", max_age=10**7)
    return reply


NOBODY = "Nobody works on the run now: it takes this in when it is gone on with."


def gone_on(watched: watching.Watched) -> str:
    """Go on with a run. Raises UserError with what it said, where it ends at once, and where it is being gone on with."""
    if watched.started and watched.started.poll() is None:  # until it has the lock, nobody seems to work on the run
        raise UserError(f"Process {watched.started.pid} goes on with it already; it takes a while to begin.")
    watched.started = deciding.resume(watched.directory)
    if why := deciding.failed(watched.started, watched.directory, 1.0):
        raise UserError(f"The run could not be gone on with. It said: {why}")
    return f"Process {watched.started.pid} goes on with it; what it says is in {deciding.LOG}."


def order(site: Site, request: Any) -> Any:
    """Stop, pause, extend, resume."""
    may_decide(site)
    watched, form = watched_of(site, request), request.state.form
    what = form.get("what", "")
    if what == "stop":
        said = deciding.stop(watched.directory)
    elif what == "pause":
        said = deciding.pause(watched.directory)
    elif what == "extend":
        said = deciding.extend(watched.directory, form.get("budget", ""), form.get("who", ""), time.time())
        finished = getattr(watched.look(patient=False), "finished", False)
        if finished and asked.holder(watched.directory) is None:
            said = f"{said} {gone_on(watched)}"
    elif what == "resume":
        said = gone_on(watched)
    else:
        raise Refused(400, "A run can be told to stop, pause, extend or resume.")
    return back(site, request, "", said, {})
