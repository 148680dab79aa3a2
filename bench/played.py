"""Others' environments, learnt by playing: python bench/played.py grid guess [--seeds 0 1 2] [--out DIR]

What is shown in the warm-up is random play that happened to win, so that the warmed-up student knows which moves there are and
hardly more. Then `grpo` practises. Figures are of episodes with seeds of their own. It needs gymnasium with minigrid, and
textarena. A run that is there already is not made again.

    grid   gymnasium:MiniGrid-Empty-Random-5x5-v0, at most 8 moves
    guess  textarena:GuessTheNumber-v0-raw, a number up to 20, at most 5 guesses; each is answered with "higher" or "lower"
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SHOWN, VALIDATION, TEST = 200, 64, 200  # episodes


@dataclass(frozen=True)
class World:
    """spec: what --env names; move: what random play says next; turns: at most; settings: for --set."""

    spec: str
    move: Callable[[random.Random], str]
    turns: int
    settings: tuple[str, ...] = ()


WORLDS = {
    "grid": World("gymnasium:MiniGrid-Empty-Random-5x5-v0", lambda draw: draw.choice(("left", "right", "forward")), 8),
    "guess": World("textarena:GuessTheNumber-v0-raw", lambda draw: f"[{draw.randint(1, 20)}]", 5),
}
SMALL = (
    *("student=micro", "rollout.told=false", "warmup_steps=150", "warmup_rows=24", "warmup_lr=3e-3", "prompts=6", "samples=8"),
    *("max_tokens=8", "validation=32", "test=200", "round_steps=20", "lr=1e-3", "average=0.9", "retain=0"),
    *("warmup_demos=100", "rollout.seconds=300"),  # a busy machine is no fault of a world's
)


def lucky(world: World, draw: random.Random) -> Iterator[tuple[int, list[str]]]:
    """(seed, moves) of random games that were won."""
    from sharpen.environments.episode import Episode
    from sharpen.environments.loading import factory

    episode = Episode(factory(world.spec))
    for seed in range(10_000, 100_000):
        said, done = [], episode.answer({"op": "reset", "task": {"seed": seed}})["done"]
        while not done and len(said) < world.turns:
            said.append(world.move(draw))
            done = episode.answer({"op": "step", "action": said[-1]})["done"]
        if done and episode.answer({"op": "judge", "action": ""})["verdict"]["outcome"] == "correct":
            yield seed, said


def write(world: World, path: Path) -> None:
    """The file of episodes: those shown, and seeds. Those shown are the training split, which practice plays anew."""
    games = lucky(world, random.Random(0))
    shown = [next(games) for _ in range(SHOWN)]
    lines = [{"seed": seed, "solution": said, "split": "train"} for seed, said in shown]
    lines += [{"seed": seed, "split": "validation"} for seed in range(1000, 1000 + VALIDATION)]
    lines += [{"seed": seed, "split": "test"} for seed in range(2000, 2000 + TEST)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def run(name: str, seed: int, out: Path, steps: int, more: tuple[str, ...]) -> dict:
    """The report's figures."""
    from sharpen.report import summary

    world, directory = WORLDS[name], out / f"{name}-{seed}"
    tasks = out / f"{name}.jsonl"
    if not tasks.exists():
        write(world, tasks)
    if not (directory / "report.html").exists():
        command = [sys.executable, "-m", "sharpen", "run", "grpo", "--env", world.spec, "--tasks", str(tasks)]
        command += ["--seed", str(seed), "--budget", f"{steps}steps", "--run-dir", str(directory)]
        named = {setting.partition("=")[0] for setting in more}
        own = (*SMALL, f"rollout.turns={world.turns}", *world.settings)
        for setting in (*(s for s in own if s.partition("=")[0] not in named), *more):
            command += ["--set", setting]
        with (out / f"{name}-{seed}.log").open("w") as log:
            subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
    return summary(directory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", nargs="+", choices=WORLDS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--out", type=Path, default=Path("runs/played"))
    parser.add_argument("--set", action="append", default=[], help="a setting more, NAME=VALUE")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    print("world\tseed\tbefore\tafter\tpoints\t95 %", flush=True)
    for name in asked.worlds:
        gains = []
        for seed in asked.seeds:
            found = run(name, seed, asked.out, asked.steps, tuple(asked.set))
            before, after, gain = found["before"], found["after"], found["difference"]
            gains.append(100 * gain["accuracy"])
            low, high = gain["ci95"]
            told = f"{before['accuracy']:.1%}\t{after['accuracy']:.1%}\t{gains[-1]:+.1f}\t{low:+.3f} to {high:+.3f}"
            print(f"{name}\t{seed}\t{told}", flush=True)
        print(f"{name}\tmean of {len(gains)}\t\t\t{statistics.mean(gains):+.1f}", flush=True)


if __name__ == "__main__":
    main()
