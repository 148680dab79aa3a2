"""The verifier `math` and Math-Verify alone on the same answers: python bench/maths.py [--pairs tests/data/maths_pairs.jsonl]

For each: agreement with the pairs' own labels, false "equal", false "different", answers that raised or overran, and verdicts a
second on one core. Math-Verify is called as its documentation says, on "$…$", in this process, in the main thread. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from sharpen import maths
from sharpen.core import Task


def ours(pair: dict) -> bool:
    prompt = ({"role": "user", "content": pair.get("question", "?")},)
    task = Task(prompt, pair["gold"], "pairs", 1, verifier="math")
    return maths.math(task, f"<answer>{pair['answer']}</answer>").correct


def math_verify_alone(pair: dict) -> bool:
    from math_verify import parse, verify

    gold, answer = (parse(text if "$" in text else f"${text}$") for text in (pair["gold"], pair["answer"]))
    return bool(verify(gold, answer))


def measured(judge: Callable[[dict], bool], pairs: list[dict]) -> dict:
    judge(pairs[0])
    wrong: dict[str, list[list[str]]] = {"false equal": [], "false different": [], "raised": []}
    slowest, start = 0.0, time.perf_counter()
    for pair in pairs:
        begun = time.perf_counter()
        try:
            same = judge(pair)
            if same != pair["same"]:
                wrong["false equal" if same else "false different"].append([pair["gold"], pair["answer"]])
        except Exception as e:  # whatever a library raises is what is being counted
            wrong["raised"].append([pair["gold"], pair["answer"], type(e).__name__])
        slowest = max(slowest, time.perf_counter() - begun)
    seconds = time.perf_counter() - start
    right = len(pairs) - sum(map(len, wrong.values()))
    counts = {name: len(found) for name, found in wrong.items()}
    rate = round(len(pairs) / seconds)
    return {
        "agreement": round(right / len(pairs), 4),
        **counts,
        "per_second": rate,
        "slowest_s": round(slowest, 2),
        "which": wrong,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, default=Path(__file__).parents[1] / "tests/data/maths_pairs.jsonl")
    parser.add_argument("--list", action="store_true", help="list every wrong verdict")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    pairs = [json.loads(line) for line in options.pairs.read_text(encoding="utf-8").splitlines()]
    found = {"pairs": len(pairs), "sharpen": measured(ours, pairs), "math-verify": measured(math_verify_alone, pairs)}
    if not options.list:
        for name in ("sharpen", "math-verify"):
            del found[name]["which"]
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
