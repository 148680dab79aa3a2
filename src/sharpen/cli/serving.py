"""The neighbours: `sharpen serve` and `sharpen chat`, and the trackers that a run is shown in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from sharpen.cli.commands import System
from sharpen.terminal import places

Where = Annotated[
    Path, typer.Argument(metavar="RUN_OR_DIR", help="A run, whose last accepted model it is, or a directory of a model.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="How it is asked: prompt_suffix, max_tokens, temperature, top_p, stop, …"),
]
Seconds = Annotated[float, typer.Option(min=0.1, metavar="S", help="Seconds that an answer may take.")]
Precision = Annotated[str, typer.Option(help="fp32, bf16, or auto: bf16 where the hardware is made for it.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, …; auto: a GPU where there is one.")]
Track = Annotated[
    list[str] | None,
    typer.Option(
        "--track",
        metavar="NAME",
        help="Show it in wandb, mlflow, trackio, tensorboard, or a tracker of yours, module:function.",
    ),
]
Roles = Annotated[
    list[str] | None,
    typer.Option("--role", metavar="NAME=WHO", help="Another model: a directory, student, http://…#model, module:function."),
]
Engines = Annotated[
    str | None,
    typer.Option(metavar="URL,URL", help="Servers that generate: vLLM, SGLang, or `sharpen serve --engine`."),
]
Publish = Annotated[
    Path | None,
    typer.Option(metavar="DIR|nccl", help="Where they find new weights, if they do not see the run's directory; or by NCCL."),
]

Steps = Annotated[
    int,
    typer.Option("--ahead", min=0, max=16, metavar="K", help="Generate rollouts of step t+K while step t is learnt, here too."),
]
Workers = Annotated[
    str,
    typer.Option(metavar="ray://HOST:PORT", help="Verdicts, programs and environments on a Ray cluster, or on local://8."),
]
Shard = Annotated[
    str, typer.Option(metavar="fsdp", help="Under torchrun: weights, gradients and optimizer in shards on all processes.")
]


def afar(engines: str | None, publish: Path | None, shard: str, ahead: int, helpers: str = "") -> dict[str, Any]:
    """Of a request, what these options say. UserError for what would do nothing."""
    from sharpen import workers
    from sharpen.core import UserError

    urls = addresses(engines)
    if publish and not urls:
        raise UserError("--publish says where engines find weights, and there are none: name them with --engines.")
    if shard not in ("", "fsdp"):
        raise UserError(f"--shard {shard}: there is fsdp.")
    if shard and "RANK" not in os.environ:
        raise UserError(f"--shard {shard} is for processes that torchrun starts: torchrun --nproc-per-node 8 -m sharpen run …")
    if not shard and "RANK" in os.environ and (size := os.environ.get("WORLD_SIZE", "1")) != "1":
        raise UserError(
            f"torchrun has started {size} processes, and each would make the same run for itself. Add --shard fsdp, which "
            "shares the learning out among them, or start sharpen without torchrun."
        )
    return {"shard": shard, "ahead": ahead, "engines": urls, "publish": published(publish), "workers": workers.checked(helpers)}


def published(place: Path | None) -> str | None:
    """The text of --publish: a directory by its whole path, or "nccl"."""
    return str(place if str(place) == "nccl" else place.absolute()) if place else None


def addresses(engines: str | None) -> tuple[str, ...]:
    return tuple(url.strip() for url in (engines or "").split(",") if url.strip())


def instead(engines: str | None, publish: Path | None, helpers: str) -> dict[str, Any]:
    """Of a request that is resumed, what these options put in the place of what was said first."""
    from sharpen import workers

    found: dict[str, Any] = {"engines": addresses(engines)} if engines else {}
    found |= {"publish": published(publish)} if publish else {}
    return found | ({"workers": workers.checked(helpers)} if helpers else {})


def serve(
    where: Where,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is any that is free.")] = 8000,
    host: Annotated[str, typer.Option(help="Who may ask: 127.0.0.1 is this machine only.")] = "127.0.0.1",
    record: Annotated[bool, typer.Option("--record", help="Keep what is asked and said: table `served` of the store.")] = False,
    engine: Annotated[bool, typer.Option("--engine", help="Behind vLLM's routes, for --engines of a run.")] = False,
    fault: Annotated[str, typer.Option(metavar="NAME", help="With --engine: err so, to see that a run notices.")] = "",
    system: System = None,
    settings: Settings = None,
    seconds: Seconds = 600.0,
    precision: Precision = "auto",
    device: Device = "auto",
) -> None:
    """Serve a model as OpenAI's API has it: /v1/chat/completions, /v1/completions, /v1/models.

    A conversation is asked as the model was trained (asking.json), unless a request says otherwise; a prompt is taken as it
    is. Where SHARPEN_SERVE_KEY is set, clients have to send it as their key.
    """
    from sharpen.core import UserError
    from sharpen.serve import app, contract, opened
    from sharpen.terminal import listening

    if fault and not engine:
        raise UserError(f"--fault {fault} is one of an engine's: add --engine.")
    if engine:
        here = opened(where, (), precision, device)
        contract.serve(here, host, port, fault, lambda url: print(f"{url}  (Ctrl-C stops it)", flush=True))
        return
    app.require()
    at = listening(host, port)
    here = opened(where, (*(settings or []), *places.system_setting(system)), precision, device)
    shown = f"[{host}]" if ":" in host else host
    tell(here)
    print(f"http://{shown}:{at.getsockname()[1]}/v1  (Ctrl-C stops it)", flush=True)
    if host not in ("127.0.0.1", "::1", "localhost") and not os.environ.get(app.KEY):
        print(f"anybody who reaches this machine may ask: set {app.KEY} to want a key", file=sys.stderr)
    try:
        app.serve(here, at, seconds, record)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)


def chat(
    where: Where,
    system: System = None,
    settings: Settings = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other answers.")] = 0,
    seconds: Seconds = 600.0,
    precision: Precision = "auto",
    device: Device = "auto",
) -> None:
    """Talk with a model. A line is a message; /reset forgets, Ctrl-D ends. It works piped, too."""
    from sharpen.serve import chat as talk
    from sharpen.serve import opened

    here = opened(where, (*(settings or []), *places.system_setting(system)), precision, device)
    tell(here)
    try:
        talk(here, lines(), write, seconds, seed)
    except KeyboardInterrupt:
        print(file=sys.stderr)


def tell(here: Any) -> None:
    """What is used, and how it is asked."""
    drawn = here.asking.sampling
    how = "greedily" if drawn.temperature == 0 else f"at temperature {drawn.temperature:g}"
    print(f"{here.name}: {here.directory}, asked {here.asking}, drawn {how} unless told otherwise", file=sys.stderr)


def lines() -> Iterator[str]:
    """Lines of standard input; behind a prompt where somebody sits there."""
    from sharpen.terminal import read_line

    while True:
        if sys.stdin.isatty():
            print("> ", end="", file=sys.stderr, flush=True)
        line = read_line()
        if not line:
            return
        yield line


def write(text: str) -> None:
    print(text, end="", flush=True)


def remember(directory: Path, names: list[str]) -> None:
    """Note where a run is shown, under this user's seal, so that a resume goes on with that."""
    from sharpen import loop, track

    track.remember(directory, names, loop.trust.seal(["track", names]))


def tracked(directory: Path, asked: list[str] | None) -> list[str]:
    """Where a resumed run is shown: where it is asked for, else where it was. What a directory from elsewhere says is not
    followed: nothing leaves this machine unless its user says so."""
    from sharpen import loop, track
    from sharpen.terminal import tables

    if asked:
        return [] if asked == ["none"] else track.trackers(asked)
    names, seal = track.remembered(directory)
    if names and (not seal or seal != loop.trust.seal(["track", names])):
        tables.say(f"not shown in {', '.join(names)}, for that was asked for elsewhere; --track names a tracker", sys.stderr)
        return []
    return track.trackers(names)
