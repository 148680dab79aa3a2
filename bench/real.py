"""A real chat model on arithmetic, and TRL beside it: python bench/real.py [--seeds 0 1 2] [--budget 9m] [--trl] [--save]

On a GPU: python bench/real.py --seeds 0 --budget 2m --model FILE.gguf --set device=cuda

sharpen  `sharpen run --model smollm2 --tasks arithmetic`, as `make real` runs it, with its wall time and its peak memory; a
         line of JSON says what was measured before and after, of each arm too
trl      GRPOTrainer for as many seconds as the loop of that run took, on questions of the same source, told the same, with the
         same verdicts, learning rate, temperature, prompts, answers and longest answer; measured by `sharpen eval` on as many
         test questions

Runs of one seed follow one another, so that a machine's drift hits both alike. A run that is already there is not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from common import Shape, save
from contenders import TUNED, trl_settings
from controls import SHARPEN, interval

TASKS = "arithmetic"


def watched(*words: str) -> dict[str, float]:
    """Run a command to its end: wall seconds, and the most memory that its process held, in MB."""
    start = time.monotonic()
    process = subprocess.Popen(words)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    return {"wall": time.monotonic() - start, "peak_mb": used.ru_maxrss / 1024}


def settings(directory: Path) -> dict[str, str]:
    """What the run was sized to."""
    from sharpen.store import Store

    with Store.open(directory) as store:
        meta = store.meta()["request"]
    return dict(setting.split("=", 1) for setting in meta["settings"]) | {"model": meta["model"]}


def sharpen_run(directory: Path, seed: int, model: str, budget: str, chosen: list[str]) -> dict[str, Any]:
    note = directory.with_suffix(".json")
    if not note.exists():
        words = ["run", "--model", model, "--tasks", TASKS, "--budget", budget, "--seed", str(seed)]
        words += [word for setting in chosen for word in ("--set", setting)]
        note.write_text(json.dumps(watched(*SHARPEN, *words, "--run-dir", str(directory))))
    shown = subprocess.run([*SHARPEN, "report", str(directory), "--json"], check=True, capture_output=True, text=True)
    return {**json.loads(shown.stdout), **json.loads(note.read_text())}


def shown(found: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a run's report: the figures, without answers."""
    kept = {name: found[name] for name in ("steps", "seconds", "tokens", "wall", "peak_mb")}
    for when in ("before", "after", "difference"):
        measured = found[when]
        kept[when] = {name: measured[name] for name in ("accuracy", "ci95", "n")}
        kept[when]["arms"] = {arm: round(fields["accuracy"], 3) for arm, fields in measured["arms"].items()}
    return kept


def loop_seconds(directory: Path) -> float:
    from sharpen.loop import WORK
    from sharpen.store import Store

    with Store.open(directory) as store:
        marks = ", ".join("?" for _ in WORK)
        return float(store.rows(f"SELECT sum(seconds) FROM timings WHERE phase IN ({marks})", WORK)[0][0])


def trl_run(out: Path, run: Path, seed: int) -> dict[str, Any]:
    """Train in a process of its own, then measure what it wrote."""
    if not (out / "config.json").exists():
        watched(sys.executable, __file__, "--train", str(out), str(run), str(seed))
    chosen = settings(run)
    words = [
        "eval",
        str(out),
        "--tasks",
        TASKS,
        "-n",
        chosen["test"],
        "--max-tokens",
        chosen["max_tokens"],
        "--seed",
        str(seed),
    ]
    if "prompt_suffix" in chosen:
        words += ["--set", f"prompt_suffix={chosen['prompt_suffix']}"]
    shown = subprocess.run([*SHARPEN, *words, "--json"], check=True, capture_output=True, text=True)
    return json.loads(shown.stdout) | json.loads((out / "steps.json").read_text())


def train(out: Path, run: Path, seed: int) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOTrainer

    from sharpen import models, tasks, verify
    from sharpen.curriculum import trainable
    from sharpen.rollouts import Asking, asking

    chosen, seconds = settings(run), loop_seconds(run)
    shape = Shape(int(chosen["prompts"]), int(chosen["samples"]), int(chosen["max_tokens"]))
    source = tasks.parse_spec(TASKS)
    arms = trainable(source)
    drawn = [source.draw(arms[i % len(arms)], "train", i, seed) for i in range(16_000)]
    told = Asking(prompt_suffix=chosen.get("prompt_suffix"), instructions=verify.INSTRUCTIONS)  # as the run, and `sharpen eval`
    asked = [asking.messages(task, task.prompt, told.system, told.suffix(task)) for task in drawn]
    by_question = {messages[-1]["content"]: task for messages, task in zip(asked, drawn, strict=True)}

    def rewarded(prompts: Any, completions: Any, **_: Any) -> list[float]:
        pairs = zip(prompts, completions, strict=True)
        return [verify.verify(by_question[p[-1]["content"]], c[-1]["content"]).reward or 0.0 for p, c in pairs]

    class Timed(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.start = time.monotonic()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = time.monotonic() - self.start >= seconds

    bf16 = bool(models.fast_bf16())
    given = {name: value for name, value in TUNED.items() if name != "attention"}
    given["micro"] = max(n for n in range(1, TUNED["micro"] + 1) if shape.rows % n == 0)
    given["temperature"] = float(chosen.get("temperature", 1.0))
    args = trl_settings(
        shape, str(out / "work"), **given, bf16=bf16, learning_rate=float(chosen["lr"]), seed=seed, shuffle_dataset=True
    )
    model = AutoModelForCausalLM.from_pretrained(models.located(chosen["model"]), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(models.located(chosen["model"]))
    listed = Dataset.from_list([{"prompt": [dict(message) for message in messages]} for messages in asked])
    trainer = GRPOTrainer(
        model=model, processing_class=tokenizer, reward_funcs=rewarded, args=args, train_dataset=listed, callbacks=[Timed()]
    )
    trainer.train()
    trainer.save_model(str(out))
    tokenizer.save_pretrained(out)
    (out / "steps.json").write_text(json.dumps({"steps": trainer.state.global_step, "seconds": seconds}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budget", default="9m")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for `sharpen run`")
    parser.add_argument("--save", action="store_true", help="keep the figures in bench/results")
    parser.add_argument("--trl", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs/real"))
    parser.add_argument("--train", nargs=3, metavar=("OUT", "RUN", "SEED"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train:
        return train(Path(args.train[0]), Path(args.train[1]), int(args.train[2]))
    args.out.mkdir(parents=True, exist_ok=True)
    gains, others, figures = [], [], dict[str, Any]()
    for seed in args.seeds:
        run = args.out / f"sharpen-{seed}"
        found = sharpen_run(run, seed, args.model, args.budget, args.set)
        before, after = found["before"]["accuracy"], found["after"]["accuracy"]
        gains.append(after - before)
        print(
            f"seed {seed}: sharpen {before:.1%} -> {after:.1%} in {found['steps']} steps, {found['wall'] / 60:.1f} min in all, "
            f"{found['peak_mb']:,.0f} MB"
        )
        figures[f"seed {seed}"] = {"load": os.getloadavg(), "sized": settings(run)} | shown(found)
        print(json.dumps({"seed": seed} | figures[f"seed {seed}"]), flush=True)
        if args.trl:
            other = trl_run(args.out / f"trl-{seed}", run, seed)
            others.append(other["accuracy"] - before)
            figures[f"seed {seed}"]["trl"] = {name: other[name] for name in ("accuracy", "steps", "seconds")}
            print(
                f"seed {seed}: trl {before:.1%} -> {other['accuracy']:.1%} in {other['steps']} steps, {other['seconds']:.0f} s"
            )
    print(f"gain: sharpen {interval(gains)}" + (f", trl {interval(others)}" if others else ""))
    if args.save:
        print(f"written: {save('real', figures, torch.get_num_threads())}")


if __name__ == "__main__":
    main()
