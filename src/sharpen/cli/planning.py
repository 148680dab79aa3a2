"""What devices to take, and what it will cost: `sharpen plan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plan(
    model: Annotated[str, typer.Option(metavar="7b|DIR", help="A size, or a model's directory.")] = "7b",
    gpus: Annotated[int, typer.Option(min=1, max=16384, metavar="N", help="Devices at hand.")] = 8,
    device: Annotated[str, typer.Option(help="a100, h100, h200, b200; here: this machine, as measured.")] = "h100",
    tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Longest answer.")] = 4096,
    mean: Annotated[
        int, typer.Option(min=0, metavar="N", show_default=False, help="Mean answer. [default: a quarter of the longest]")
    ] = 0,
    rows: Annotated[int, typer.Option(min=1, metavar="N", help="Answers of a step: prompts times samples.")] = 512,
    samples: Annotated[int, typer.Option(min=1, metavar="N", help="Answers to each prompt.")] = 4,
    prompt: Annotated[int, typer.Option(min=1, metavar="N", help="Tokens of a prompt.")] = 256,
    reference: Annotated[bool, typer.Option("--reference", help="The recipe compares with a frozen model, too.")] = False,
    lora: Annotated[
        int, typer.Option(min=-1, metavar="RANK", show_default=False, help="0: whole weights. [default: as the memory has it]")
    ] = -1,
    ahead: Annotated[
        int,
        typer.Option(
            min=-1, max=16, metavar="K", show_default=False, help="Steps ahead of the learner. [default: what is faster]"
        ),
    ] = -1,
    optimizer_bits: Annotated[int, typer.Option(metavar="32|8", help="Of the optimizer's moments.")] = 32,
    measure: Annotated[Path | None, typer.Option(metavar="DIR", help="Measure this machine with a model, and keep it.")] = None,
) -> None:
    """Which devices generate and which learn, what a step takes in time and memory, and the commands that run it."""
    from sharpen import plan as planning
    from sharpen.core import UserError
    from sharpen.recipe import checked_bits

    if measure:
        _measure(measure)
        return
    here = planning.measure.recalled() if device == "here" else planning.device(device)
    if mean > tokens:
        raise UserError(f"--mean {mean} is longer than the longest answer, --tokens {tokens}.")
    load = planning.Load(rows, prompt, mean or max(tokens // 4, 1), tokens, reference, samples)
    what = planning.shape(model)
    rank, k = None if lora < 0 else lora, None if ahead < 0 else ahead
    found = planning.best(what, here, load, gpus, rank, k, bits=checked_bits(optimizer_bits, "--optimizer-bits "))
    if found is None:
        raise UserError(
            f"{what.name} does not fit {gpus} of {here.name}, with {tokens} tokens an answer. Take more or larger devices, "
            "fewer tokens, moments of 8 bits (--optimizer-bits 8), or adapters (--lora 32)."
        )
    print(planning.told(*found, what, here, load))
    seconds = planning.simulated(found[0], what, here, load)
    print(f"  {'simulated step':<22}{seconds:9.1f} s   with lengths as they fall\n")
    print(planning.commands(found[0], model, here, load))


def _measure(directory: Path) -> None:
    """Time a model's steps here, keep what fits them, and say how well it does."""
    import os

    import torch

    from sharpen import models
    from sharpen import plan as planning

    policy = models.LocalPolicy(*models.load_model(Path(models.located(str(directory)))))
    cuda = policy.model.device.type == "cuda"
    memory = (
        torch.cuda.get_device_properties(0).total_memory if cuda else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    )
    here, decoded, learnt = planning.measure.measured(policy, float(memory))
    planning.measure.keep(here)
    for what, points in (("decoding step", decoded), ("learning pass", learnt)):
        slope, fixed = planning.measure.line(points)
        for size, seconds in points:
            off = (slope * size + fixed) / seconds - 1
            of = "rows" if what == "decoding step" else "tokens"
            print(f"{what}: {size:6.0f} {of} {seconds * 1e3:9.2f} ms, the line is {off:+.0%} off")
    print(f"kept in {planning.measure.place()}: sharpen plan --device here …")
