"""How fast a step could be if it consisted of nothing but its matrix products, measured on this machine in this run.

Counted are the products with the model's weights: one for each prompt's tokens, one for each sampled token at the shape's
number of rows, and three (forward, and two backward) for each token of the batch, a prompt once for its group. A response's
last token counts nowhere: nothing is predicted from it. Not counted: attention's own products, element-wise work, sampling.
So nobody comes near this limit without better products than torch's, and what remains below it is what an engine and a trainer
cost.
"""

from __future__ import annotations

import statistics
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from common import MODEL, Shape

PROMPT = 17  # tokens of a question, see `common.prompts`
VOCABULARY = 100
REPEATS = 7


def weights() -> list[tuple[int, int, int]]:
    """(inputs, outputs, how many) of the model's weight matrices."""
    width, layers, wide = MODEL["hidden_size"], MODEL["num_hidden_layers"], MODEL["intermediate_size"]
    return [(width, width, 4 * layers), (width, wide, 2 * layers), (wide, width, layers), (width, VOCABULARY, 1)]


def seconds(tokens: int, dtype: Any) -> float:
    """Median time of one product of (tokens, inputs) with every weight matrix, into memory that is there already."""
    import torch

    total = 0.0
    for inputs, outputs, count in weights():
        x, w = torch.randn(tokens, inputs).to(dtype), torch.randn(outputs, inputs).to(dtype).t()
        y = torch.empty(tokens, outputs, dtype=dtype)
        taken = []
        for _ in range(REPEATS + 1):
            start = time.perf_counter()
            for _ in range(count):
                torch.mm(x, w, out=y)
            taken.append(time.perf_counter() - start)
        total += statistics.median(taken[1:])
    return total


def limit(connection: Connection, shape: Shape, model: Path) -> None:
    """The work of a process of `contenders.started`: sends the limits of fp32 and, where the processor has it, bf16."""
    import torch

    from sharpen.models.policy import fast_bf16

    kinds = {"fp32": torch.float32, **({"bf16": torch.bfloat16} if fast_bf16() else {})}
    with torch.inference_mode():
        found = {name: limits(shape, dtype) for name, dtype in kinds.items()}
    best = max(found, key=lambda name: found[name]["completions_per_second"])
    connection.send({"dtype": best, **found[best]})


def limits(shape: Shape, dtype: Any) -> dict[str, float]:
    decode = seconds(shape.rows, dtype)  # of one token for every row
    batch = shape.rows * (shape.tokens - 1) + shape.prompts * PROMPT
    block = min(batch, 4096)  # beyond this, time is proportional
    learn = 3 * seconds(block, dtype) * batch / block
    step = seconds(shape.prompts * PROMPT, dtype) + decode * (shape.tokens - 1) + learn
    operations = 2 * sum(inputs * outputs * count for inputs, outputs, count in weights())
    return {
        "decode_tokens_per_second": shape.rows / decode,
        "training_tokens_per_second": shape.rows * (PROMPT + shape.tokens) / learn,
        "completions_per_second": shape.rows / step,
        "decode_gflops": operations * shape.rows / decode / 1e9,
        "training_gflops": 3 * operations * batch / learn / 1e9,
    }
