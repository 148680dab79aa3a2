"""What is said of a command line that cannot be read: what is wrong, what the command takes, and one that works."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import typer

from sharpen.cli import elsewhere

UsageError: Any = typer.BadParameter.__base__  # typer keeps its own name for it private
EXTRA = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", re.DOTALL)
MOST_OPTIONS = 8
NO_MEMORY = "DefaultCPUAllocator"  # what torch says where a processor's memory ends, in a plain RuntimeError

EXAMPLES = {
    "audit": "tasks.jsonl",
    "chat": "path/to/model",
    "check": "runs/latest",
    "compare": "grpo rloo --budget 40steps",
    "data": "tasks.jsonl",
    "decide": "runs/latest",
    "eval": "path/to/model --tasks tasks.jsonl",
    "evolve": "grpo --budget 8h",
    "export": "runs/latest path/to/new",
    "grow": "runs/latest --role proposer=path/to/model --out new.jsonl",
    "heads": "before after --tasks chain_sum",
    "lineage": "runs/latest chain_sum/2",
    "list": "--json",
    "merge": "path/to/new one another",
    "plan": "--model 7b --gpus 8",
    "play": "textarena:TicTacToe-v0",
    "profile": "grpo --steps 3",
    "query": 'runs/latest "SELECT step, phase FROM steps"',
    "report": "runs/latest --json",
    "resume": "runs/latest --budget 30m",
    "revise": "path/to/model text.txt",
    "rewards": "runs/latest",
    "run": "grpo --model path/to/model --tasks tasks.jsonl --budget 40steps",
    "serve": "runs/latest",
    "show": "grpo",
    "signal": "runs/latest",
    "suite": "path/to/model --suite general",
    "tasks": "chain_sum --level 2",
    "tune": "grpo --over lr,temperature=0.6..1.2",
    "verify": "tasks.jsonl responses.jsonl",
    "view": "runs",
}
SURPLUS = {  # what somebody may have wanted with an argument more
    "list": "`sharpen show {}` tells of one recipe.",
    "plan": "A plan is for a size of model and some devices, whatever the recipe.",
    "run": "A run has one recipe; `sharpen compare` takes several.",
}


def told(error: Exception, group: Any) -> str:
    """What is said of an error in the usage of a command; "" for any other error. `group` is the context of the program."""
    if not isinstance(error, UsageError):
        return ""
    said: Any = error
    if said.ctx is None and (command := group.command.commands.get(group.invoked_subcommand)):
        said.ctx = type(group)(command, info_name=group.invoked_subcommand, parent=group)  # the parser leaves it out
    context = said.ctx
    if context is None or context.parent is None:
        return ""
    match type(error).__name__:
        case "NoSuchOption":
            what = f"{said.message}. {meant(said, said.option_name)}".strip()
        case "MissingParameter":
            what = f"{wanted(said.param)} is missing."
        case "BadOptionUsage" | "BadParameter" if (parameter := parameter_of(said)) is not None:
            what = f"{said.format_message().rstrip('.')}. It is {wanted(parameter)}."
        case _:
            extra = EXTRA.fullmatch(said.message)
            what = surplus(context, extra[1]) if extra else said.format_message()
    return f"{what}\n{context.get_usage()}{example(context)}\n`{context.command_path} --help` has the rest."


def out_of_memory(error: Exception) -> str:
    """What is said where a process's memory, or a GPU's, ends outside of what is tried again with less; "" for other errors."""
    if not (isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or NO_MEMORY in str(error)):
        return ""
    wanted = re.search(r"allocate ([\d.]+ ?(?:bytes|[KMGT]iB))", str(error))
    who = f"rank {os.environ['RANK']}" if os.environ.get("WORLD_SIZE", "1") != "1" and "RANK" in os.environ else "this process"
    return (
        f"out_of_memory: {who} has no memory for {wanted[1] if wanted else 'what it needs'} more. The last commit of a run "
        "stands. Give it more memory or more ranks (--shard fsdp) and resume, or take a smaller model, --set lora=16, "
        "optimizer_bits=8 or fewer max_tokens."
    )


def example(context: Any) -> str:
    known = EXAMPLES.get(context.info_name)
    return f"\nSuch as: {context.command_path} {known}" if known else ""


def surplus(context: Any, extra: str) -> str:
    """What is said of arguments that a command does not take."""
    takes = [named(p) for p in context.command.params if p.param_type_name == "argument"]
    first, options = extra.split(" ")[0], long_options(context.command.params)
    what = (
        f"{extra!r} is too much: {context.command_path} takes {' and '.join(takes) if takes else 'no argument, only options'}."
    )
    if "=" in first and "--set" in options:
        return f"{what} A setting is said by --set {first}."
    if close := closest(first, options):
        return f"{what} Did you mean {close}?"
    if hint := SURPLUS.get(context.info_name):
        return f"{what} {hint.format(first)}"
    return (
        what if takes else f"{what} It has {', '.join(options[:MOST_OPTIONS])}{', …' if len(options) > MOST_OPTIONS else '.'}"
    )


def wanted(parameter: Any) -> str:
    """A parameter's name, the form of its value, and what it is."""
    name = named(parameter)
    return f"{name} ({described})" if (described := (parameter.help or "").rstrip(". ")) else name


def named(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper()).strip("[]")
    return " ".join(filter(None, (parameter.opts[0], parameter.metavar)))


def parameter_of(error: Any) -> Any:
    """The parameter that an error is about, or None."""
    name = getattr(error, "option_name", None)
    of_name = (p for p in error.ctx.command.params if name in p.opts)
    return next(of_name, None) if name else getattr(error, "param", None)


def meant(error: Any, option: str) -> str:
    """What an option that there is not may be called here: that of another program, a setting, or a slip."""
    from sharpen.recipe import Recipe

    known = long_options(error.ctx.command.params if error.ctx else ())
    short = [name for p in error.ctx.command.params for name in p.opts] if error.ctx else []
    if hint := elsewhere.hint(option, [*known, *short], [field.name for field in fields(Recipe)]):
        return hint
    if not option.startswith("--"):  # "-budget" is read as -b, -u, …
        begins = [name for name in known if name[2] == option[1:2]]
        return f"Did you mean {' or '.join(begins)}?" if begins else ""
    close = closest(option, known)
    return f"Did you mean {close}?" if close else ""


def closest(option: str, known: Sequence[str]) -> str:
    """The known option that another one may be a slip of, or ""."""
    bare = {name.lstrip("-"): name for name in known}
    return next((bare[name] for name in difflib.get_close_matches(option.lstrip("-"), bare, n=1, cutoff=0.7)), "")


def long_options(parameters: Sequence[Any]) -> list[str]:
    """The options that have a word for a name."""
    return [name for p in parameters if p.param_type_name == "option" for name in p.opts if name.startswith("--")]
