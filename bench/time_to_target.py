"""Seconds until a held-out accuracy is first reached: python bench/time_to_target.py [--seeds 0 1 2] [--target 0.4]

    sharpen   the default recipe, whole; its clock starts when its warm-up has ended
    trl       GRPOTrainer from the weights that this warm-up left, on tasks drawn evenly from all arms, with the same prompts,
              samples, lengths, verifier, optimizer and clipping; its learning rate rises over as many steps, then stays

Both are evaluated greedily on the same validation stream by sharpen's engine every `round_steps` steps, and the clock stands
still meanwhile. TRL's learning rate is the best of --rates, each tried on the first seed for --tune minutes; then TRL may take
--cap times as long as sharpen took, and what it has not reached by then counts as not reached. Pieces that --out holds already
are not made again. Prints one JSON object with every curve, so that any target can be read from it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import common
from contenders import TUNED, trl_settings

TASKS = 20_000  # drawn for TRL beforehand; they begin again after that


def piece(path: Path, work: Callable[[], dict[str, Any]], minutes: float) -> dict[str, Any]:
    """What `work` returned in a process of its own, or what the file holds from an earlier time."""
    if not path.exists():
        process = multiprocessing.get_context("spawn").Process(target=write, args=(path, work))
        process.start()
        process.join(60 * minutes)
        if process.is_alive():
            process.kill()
            raise TimeoutError(f"{path.stem} was not done after {minutes:.0f} minutes")
        if not path.exists():
            raise RuntimeError(f"{path.stem} failed; its error is above")
    return json.loads(path.read_text())


def write(path: Path, work: Callable[[], dict[str, Any]]) -> None:
    os.dup2(2, 1)
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    path.write_text(json.dumps(work()))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def sharpen(directory: Path, warm: Path, seed: int, minutes: float, settings: Sequence[str]) -> dict[str, Any]:
    """A run of the default recipe; `warm` becomes a copy of the weights that its warm-up ended with."""
    from sharpen.loop import loop
    from sharpen.store.store import Store
    from sharpen.terminal.terminal import Quiet

    class Watching(Quiet):
        def phase(self, name: str, total: int | None = None, done: int = 0) -> None:
            if name == "loop" and not warm.exists():
                shutil.copytree(max((directory / "checkpoints").iterdir()), warm)

        def say(self, text: str) -> None:
            say(f"sharpen, seed {seed}: {text}")

    shutil.rmtree(directory, ignore_errors=True)
    shutil.rmtree(warm, ignore_errors=True)
    request = loop.Request(seed=seed, settings=tuple(settings), budget=f"{minutes:g}m", directory=directory)
    loop.start(request, Watching())
    with Store.open(directory) as store:
        # The first row is of the warm-up's weights, the last of the test split; between them one for each round.
        evaluated = [row[0] for row in store.rows("SELECT rowid FROM timings WHERE phase = 'evaluate' ORDER BY rowid")]
        spent = "SELECT coalesce(sum(seconds), 0) FROM timings WHERE phase != 'evaluate' AND rowid > ? AND rowid < ?"
        accuracy = [r["accuracy"] for r in store.rounds()]
        clock = [store.rows(spent, (evaluated[0], row))[0][0] for row in evaluated[: len(accuracy)]]
        assert len(clock) == len(accuracy)
        steps = store.rows("SELECT count(*) FROM steps WHERE phase = 'loop'")[0][0]
    return {"seconds": clock, "accuracy": accuracy, "steps": steps}


def trl(warm: Path, seed: int, rate: float, minutes: float, target: float, settings: Sequence[str]) -> dict[str, Any]:
    """GRPOTrainer until it reaches the target, or `minutes` of generating and training are over."""
    import numpy as np
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOTrainer

    from sharpen.loop import warmup
    from sharpen.models import policy
    from sharpen.recipes import catalog

    recipe = catalog.build("quickstart", list(settings))
    source = recipe.tasks()
    arms = np.random.default_rng(seed).integers(len(source.arms), size=TASKS)
    drawn = [source.draw(source.arms[arm], "train", i, seed) for i, arm in enumerate(arms)]
    curve: dict[str, Any] = {"rate": rate, "seconds": [], "accuracy": [], "steps": 0}

    def rewarded(completions: Any, number: Sequence[int], **_: Any) -> list[float]:
        verdicts = [recipe.verify(drawn[i], c[-1]["content"]) for i, c in zip(number, completions, strict=True)]
        return [v.reward or 0.0 for v in verdicts]

    with tempfile.TemporaryDirectory() as out:
        shape = common.Shape(recipe.prompts, recipe.samples, recipe.max_tokens)
        knobs = {
            **{k: v for k, v in TUNED.items() if k != "attention"},
            **dict(bf16=policy.fast_bf16("cpu"), learning_rate=rate, seed=seed, temperature=recipe.temperature),
            **dict(lr_scheduler_type="constant_with_warmup", warmup_steps=warmup.RAMP),
        }
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(
                warm, dtype="float32", local_files_only=True, attn_implementation=TUNED["attention"]
            ),
            processing_class=AutoTokenizer.from_pretrained(warm, local_files_only=True),
            reward_funcs=rewarded,
            args=trl_settings(shape, out, **knobs),
            train_dataset=Dataset.from_list(
                [{"prompt": [dict(m) for m in t.prompt], "number": i} for i, t in enumerate(drawn)]
            ),
        )
        measure = partial(held_out_accuracy, trainer, recipe, source, seed)
        trainer.add_callback(clock(curve, measure, recipe.round_steps, minutes, target, f"trl at {rate:g}, seed {seed}"))
        trainer.train()
    return curve


def held_out_accuracy(trainer: Any, recipe: Any, source: Any, seed: int) -> float:
    """Greedy accuracy on the recipe's validation stream, by sharpen's engine: mean over arms, as in the loop."""
    from sharpen import tasks
    from sharpen.core import GREEDY, Evaluation
    from sharpen.loop import session
    from sharpen.models import policy
    from sharpen.verify import judging

    stream = tasks.held_out(source, "validation", recipe.validation, seed)
    listed = [task for arm in stream.values() for task in arm]
    with tempfile.TemporaryDirectory() as folder:
        trainer.model.save_pretrained(folder)
        trainer.processing_class.save_pretrained(folder)
        answering = policy.LocalPolicy(*policy.load_model(Path(folder)), recipe.precision)
    with judging.Judges(recipe.verify) as judges:
        made = session.answers(
            answering,
            recipe.max_tokens,
            GREEDY,
            recipe.rollout,
            judges,
            listed,
            [f"validation.{i:06d}" for i in range(len(listed))],
            seed,
        )
    samples = iter(made)
    return Evaluation({arm: tuple(next(samples).verdict.correct for _ in part) for arm, part in stream.items()}).accuracy


def clock(curve: dict[str, Any], measure: Callable[[], float], every: int, minutes: float, target: float, name: str) -> Any:
    """A trainer's callback that measures at the beginning and every so many steps, and stops the training when it is over."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        started = trained = 0.0

        def evaluate(self, control: Any) -> None:
            curve["seconds"].append(self.trained)
            curve["accuracy"].append(measure())
            say(f"{name}: held-out {curve['accuracy'][-1]:.1%} after {self.trained:.0f} s")
            control.should_training_stop = curve["accuracy"][-1] >= target or self.trained >= 60 * minutes
            self.started = time.perf_counter()

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.evaluate(control)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            curve["steps"] = state.global_step
            if state.global_step % every == 0:
                self.trained += time.perf_counter() - self.started
                self.evaluate(control)

    return Clock()


def reached(curve: dict[str, Any], target: float) -> float | None:
    """Seconds at the first evaluation at or above the target, or None."""
    return next((s for s, a in zip(curve["seconds"], curve["accuracy"], strict=True) if a >= target), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=10.0, help="budget of sharpen's run, its warm-up included")
    parser.add_argument("--target", type=float, default=0.4, help="held-out accuracy, mean over arms")
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-5, 3e-5, 1e-4, 3e-4])
    parser.add_argument("--tune", type=float, default=4.0, help="minutes for each rate")
    parser.add_argument("--cap", type=float, default=5.0, help="TRL's time over sharpen's")
    parser.add_argument("--set", action="append", default=[], help="a setting of the recipe, for both")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/time_to_target"))
    a = parser.parse_args()
    common.pin(a.threads)
    a.out.mkdir(parents=True, exist_ok=True)
    ours, theirs = {}, {}
    for seed in a.seeds:
        work = partial(sharpen, a.out / f"run-{seed}", a.out / f"warm-{seed}", seed, a.minutes, a.set)
        ours[seed] = piece(a.out / f"sharpen-{seed}.json", work, 2 * a.minutes + 10)
    first = a.seeds[0]
    grid = {}
    for rate in a.rates:
        work = partial(trl, a.out / f"warm-{first}", first, rate, a.tune, 1.1, a.set)
        grid[rate] = piece(a.out / f"tune-{rate:g}.json", work, 6 * a.tune + 10)
    best = max(grid, key=lambda rate: grid[rate]["accuracy"][-1])
    for seed in a.seeds:
        minutes = a.cap * (reached(ours[seed], a.target) or ours[seed]["seconds"][-1]) / 60
        work = partial(trl, a.out / f"warm-{seed}", seed, best, minutes, a.target, a.set)
        theirs[seed] = piece(a.out / f"trl-{seed}.json", work, 6 * minutes + 10)
    times = {s: {"sharpen": reached(ours[s], a.target), "trl": reached(theirs[s], a.target)} for s in a.seeds}
    ratios = [t["trl"] / t["sharpen"] if t["trl"] and t["sharpen"] else None for t in times.values()]
    found = {
        "target": a.target,
        "seconds": times,
        "ratio": ratios,
        "cap": a.cap,
        "rate": best,
        "curves": {"sharpen": ours, "trl": theirs, "rates": grid},
        "machine": common.machine(a.threads),
        "commit": common.commit(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
