r"""The verifier `math` and Math-Verify alone on the same answers: python bench/maths.py [--pairs FILE]

For each: agreement with the pairs' own labels, false "equal", false "different", answers that raised or overran, and verdicts a
second on one core. Math-Verify is called with its defaults, in this process, in the main thread; the task's own answer in $…$,
the other once in $…$ and once in \boxed{…}. It does not see the questions, and has no policy on what must be carried out.
Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sharpen.core import Task
from sharpen.verify.maths import maths


def ours(pair: dict) -> bool:
    prompt = ({"role": "user", "content": pair.get("question", "?")},)
    task = Task(prompt, pair["gold"], "pairs", 1, verifier="math")
    return maths.math(task, f"<answer>{pair['answer']}</answer>").correct


def math_verify_alone(pair: dict, wrap: str) -> bool:
    from math_verify import parse, verify

    gold = pair["gold"] if "$" in pair["gold"] else f"${pair['gold']}$"
    return bool(verify(parse(gold), parse(wrap % pair["answer"])))


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
    parser.add_argument("--pairs", type=Path, default=Path(__file__).parents[1] / "tests/verify/maths/maths_pairs.jsonl")
    parser.add_argument("--list", action="store_true", help="list every wrong verdict")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    pairs = [json.loads(line) for line in options.pairs.read_text(encoding="utf-8").splitlines()]
    judges = {"sharpen": ours}
    judges |= {f"math-verify, {wrap % '…'}": partial(math_verify_alone, wrap=wrap) for wrap in ("$%s$", "\\boxed{%s}")}
    found = {name: measured(judge, pairs) for name, judge in judges.items()}
    if not options.list:
        for figures in found.values():
            del figures["which"]
    print(f"{len(pairs)} pairs, {sum(pair['same'] for pair in pairs)} of them equal")
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
