"""What a model, a device and a step of learning are, as far as their cost depends on it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from sharpen.core import UserError, suggest


@dataclass(frozen=True)
class Shape:
    """A dense decoder: parameters, layers, width, width of its keys (or values) in a layer, vocabulary."""

    name: str
    parameters: float
    layers: int
    width: int
    keys: int
    vocabulary: int

    @property
    def token_bytes(self) -> float:
        """Keys and values of one token, in 16 bits."""
        return 2.0 * 2 * self.layers * self.keys


# From the models' own configurations: Qwen2.5 and Llama 3.
KNOWN = {
    s.name: s
    for s in (
        Shape("0.5b", 0.49e9, 24, 896, 128, 151936),
        Shape("1.5b", 1.54e9, 28, 1536, 256, 151936),
        Shape("3b", 3.09e9, 36, 2048, 256, 151936),
        Shape("7b", 7.62e9, 28, 3584, 512, 152064),
        Shape("8b", 8.03e9, 32, 4096, 1024, 128256),
        Shape("14b", 14.8e9, 48, 5120, 1024, 152064),
        Shape("32b", 32.8e9, 64, 5120, 1024, 152064),
        Shape("70b", 70.6e9, 80, 8192, 1024, 128256),
    )
}


def shape(name: str) -> Shape:
    """A size such as 7b or 1.7b, or the directory of a model. UserError for what is neither."""
    if (Path(name) / "config.json").is_file():
        return of_directory(Path(name))
    found = re.fullmatch(r"(\d+(?:\.\d+)?)b", name.strip().lower())
    if not found:
        raise UserError(f"--model {name}: this is neither a size, such as 7b, nor a model's directory.{suggest(name, KNOWN)}")
    if found.group(0) in KNOWN:
        return KNOWN[found.group(0)]
    billions = float(found.group(1))
    near = min(KNOWN.values(), key=lambda s: abs(s.parameters - billions * 1e9))
    scale = (billions * 1e9 / near.parameters) ** (1 / 3)  # depth and width grow alike
    return Shape(
        name, billions * 1e9, max(round(near.layers * scale), 1), round(near.width * scale), near.keys, near.vocabulary
    )


def of_directory(path: Path) -> Shape:
    try:
        c = json.loads((path / "config.json").read_text(encoding="utf-8"))
        width, layers, heads = c["hidden_size"], c["num_hidden_layers"], c["num_attention_heads"]
        keys = (c.get("num_key_value_heads") or heads) * (c.get("head_dim") or width // heads)
        queries = heads * (c.get("head_dim") or width // heads)
        layer = 2 * width * queries + 2 * width * keys + 3 * width * c["intermediate_size"]
        ends = c["vocab_size"] * width * (1 if c.get("tie_word_embeddings") else 2)
        return Shape(path.name, float(layers * layer + ends), layers, width, keys, c["vocab_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}/config.json does not say the sizes of a dense decoder ({error!r}). Name a size: 7b."
        ) from error


@dataclass(frozen=True)
class Device:
    """One accelerator and how much of it is reached. Bytes, FLOP and seconds; of a node's devices, and between nodes.

    learns   share of the arithmetic that a learning pass reaches
    reads    share of the memory's bandwidth that a decoding step reaches
    beat     seconds of a decoding step that no size explains: launches, scheduling
    fixed    seconds of a learning step that no size explains
    disk     bytes a second at which weights are published and read
    decode   decoding's arithmetic beside that of learning
    """

    name: str
    memory: float
    flops: float
    bandwidth: float
    link: float
    network: float
    node: int = 8
    learns: float = 0.38
    reads: float = 0.55
    beat: float = 2.5e-3
    fixed: float = 0.3
    disk: float = 2e9
    decode: float = 1.0


# Data sheets, dense bf16; `learns` as measured on an H200 with 1.5 B parameters, `reads` as vLLM reaches it at these sizes.
DEVICES = {
    d.name: d
    for d in (
        Device("a100", 80e9, 312e12, 2.0e12, 300e9, 25e9),
        Device("h100", 80e9, 989e12, 3.35e12, 450e9, 50e9),
        Device("h200", 141e9, 989e12, 4.8e12, 450e9, 50e9),
        Device("b200", 180e9, 2250e12, 7.7e12, 900e9, 50e9),
    )
}


def device(name: str) -> Device:
    if name not in DEVICES:
        raise UserError(
            f"--device {name}: there are {', '.join(DEVICES)}, and `here` once --measure was run.{suggest(name, DEVICES)}"
        )
    return DEVICES[name]


@dataclass(frozen=True)
class Load:
    """A step's rollouts: how many, tokens of a prompt, tokens of an answer in the mean and at most.

    reference  whether the objective compares with a frozen model
    samples    answers to each prompt, which is run once for all of them
    """

    rows: int = 512
    prompt: int = 256
    mean: int = 1024
    most: int = 4096
    reference: bool = False
    samples: int = 4
