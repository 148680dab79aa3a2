"""A role that proposes: a language model is told what was tried, and says what to try next.

Liu et al., "Large Language Models to Enhance Bayesian Optimization" (LLAMBO), arXiv 2402.03921, and its code: candidates are
asked for by the score they should reach, s* = best + a (best - worst); each is then scored by the mean and deviation of several
numbers that the role predicts for it, and expected improvement chooses. The first WARM trials are its warm start: it is asked
for settings by what it knows of such problems, and shown no score. What it says is data: a JSON object whose values are moved
into their ranges, or nothing; what was tried already is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sharpen import models
from sharpen.core import Ask, Role, Sampling, UserError
from sharpen.hashing import derive
from sharpen.outer import acquisition
from sharpen.outer.history import History
from sharpen.outer.space import Space, values, within

Speak = Callable[[Sequence[str], float, int], list[str]]  # (prompts, temperature, seed) -> texts; "" where nobody answered
ALPHAS = (0.1, 0.01, 0.001, -0.001, -0.01, -0.2)  # lowered until the score that is asked for is possible
CANDIDATES = 10  # half of them from each of two ways to ask
PREDICTIONS = 10
WARM = 5  # trials that the role chooses without having seen a score
ASKED = 3  # replies to one question of the warm start: the first that says something new counts
PROPOSE_T, PREDICT_T = 0.8, 0.7
LONGEST = 256  # tokens of an answer
ABOUT = "A language model is trained by reinforcement learning; the score is its held-out accuracy. Settings:"


def speaker(who: str, longest: int = LONGEST, name: str = "proposer") -> Speak:
    """Whoever `--role NAME=WHO` names, as a function. UserError for who cannot be reached, and for the student: an outer loop
    has many, and a suite none."""
    (role,) = models.roles.named([Role(name)], [f"{name}={who}"])
    if who in ("student", "start", "accepted"):
        raise UserError(f"--role {name}={who}: there is no student here that could be asked. Name a directory or a server.")
    models.roles.check(role)
    models.roles.reach([role])

    def like(path: Path) -> models.LocalPolicy:
        return models.LocalPolicy(*models.load_model(path))

    bound: Any = models.roles.bind([role], None, like)[name]  # type: ignore[arg-type]

    def speak(prompts: Sequence[str], temperature: float, seed: int) -> list[str]:
        asks = [Ask(({"role": "user", "content": prompt},)) for prompt in prompts]
        seeds = [derive(seed, name, i) for i in range(len(asks))]
        turns = bound.respond(asks, seeds, longest, Sampling(temperature=temperature))
        return ["" if turn.stop == "failed" else turn.text for turn in turns]

    return speak


def propose(space: Space, history: History, speak: Speak, seed: int) -> dict[str, str] | None:
    """The role's next settings; None where nothing that it says is one."""
    number = len(history.candidates)
    scores = history.scores()
    names = {knob.name for knob in space}
    known_settings = [{k: v for k, v in c.values.items() if k in names} for c in history.candidates]
    if number <= WARM:  # the first candidate is the recipe as it is
        said = speak([warm(space, known_settings)] * ASKED, PROPOSE_T, derive(seed, number, "outer role", 0))
        return next((setting for text in said if (setting := read(space, text)) and setting not in known_settings), None)
    known = np.array([s.value for s in scores.values()])
    target = aimed(known)
    asked = [prompt(space, history, target, first=i % 2 == 0) for i in range(CANDIDATES)]
    said = speak(asked, PROPOSE_T, derive(seed, number, "outer role", 1))
    found = list({json.dumps(v): v for text in said if (v := read(space, text)) and v not in known_settings}.values())
    if not found:
        return None
    predicted = speak(
        [question(space, history, each) for each in found for _ in range(PREDICTIONS)],
        PREDICT_T,
        derive(seed, number, "outer role", 2),
    )
    worth = [improvement(predicted[i * PREDICTIONS : (i + 1) * PREDICTIONS], float(known.max())) for i in range(len(found))]
    return found[int(np.argmax(worth))]


def aimed(known: np.ndarray, highest: float = 1.0) -> float:
    """The score to ask for: best + a (best - worst) with the largest a at which it is still possible."""
    best, worst = float(known.max()), float(known.min())
    return next((s for a in ALPHAS if (s := best + a * (best - worst)) < highest), best)


def improvement(texts: Sequence[str], best: float) -> float:
    """Expected improvement by the numbers that were predicted; 0 where they are all alike, as in the paper's code."""
    numbers = [float(m[0]) for text in texts if (m := re.search(r"-?\d+\.?\d*(?:e-?\d+)?", text))]
    if not numbers or float(np.std(numbers)) == 0:
        return 0.0
    mean, deviation = np.array([np.mean(numbers)]), np.array([np.std(numbers)])
    return float(acquisition.expected_improvement(mean, deviation, best)[0])


def warm(space: Space, proposed: Sequence[Mapping[str, str]]) -> str:
    """The question of the warm start: the problem and the ranges, what was proposed, and no score."""
    past = "\n".join(json.dumps(setting) for setting in proposed if setting)
    shown = f"These will be tried; name another:\n{past}\n" if past else ""
    return f"{ABOUT}\n{ranges(space)}\n{shown}By what you know of such training, name one that will score well. {form(space)}"


def prompt(space: Space, history: History, target: float, first: bool = True) -> str:
    """What the role is asked once scores are known. `first`: what was tried in the order of its scores, else as it came."""
    lines = tried(space, history)
    shown = sorted(lines, key=lambda line: line[1]) if first else lines
    past = "\n".join(f"{json.dumps(setting)} scored {score:.4f}" for setting, score in shown)
    return f"{ABOUT}\n{ranges(space)}\nTried:\n{past}\nPropose one that scores {target:.4f}. {form(space)}"


def ranges(space: Space) -> str:
    return "\n".join(f"- {k.name}: {' or '.join(k.options) if k.options else f'{k.low:g} to {k.high:g}'}" for k in space)


def form(space: Space) -> str:
    return f"Reply with one JSON object, such as {json.dumps(values(space, [0.5] * len(space)))}"


def question(space: Space, history: History, setting: dict[str, str]) -> str:
    past = "\n".join(f"{json.dumps(known)} scored {score:.4f}" for known, score in tried(space, history))
    return f"{past}\nWhat will {json.dumps(setting)} score? Reply with one number from 0 to 1."


def tried(space: Space, history: History) -> list[tuple[dict[str, str], float]]:
    scores, names = history.scores(), {knob.name for knob in space}
    listed = [c for c in history.candidates if c.number in scores]
    return [({k: v for k, v in c.values.items() if k in names}, scores[c.number].value) for c in listed]


def read(space: Space, said: str) -> dict[str, str] | None:
    """The last JSON object with all settings in a reply; None where there is none."""
    for found in reversed(objects(said)):
        if (setting := within(space, found)) is not None:
            return setting
    return None


def objects(said: str) -> list[dict[str, Any]]:
    """JSON objects in a text, in order, as far as they begin at a brace and can be read."""
    decoder, found, at = json.JSONDecoder(), [], said.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(said, at)
            found += [value] if isinstance(value, dict) else []
        except (ValueError, RecursionError):
            end = at + 1
        at = said.find("{", end)
    return found
