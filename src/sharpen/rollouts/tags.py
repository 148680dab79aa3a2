"""Tags of a task: what kind it is, how hard, how long its answer is. Learnt with a part of them left out of the question, they
can be given or left to the model when it is asked.

In the prompt they stand behind the question, in the answer before everything else: <tags>family=sums level=2 words=3</tags>.
There none is ever left out, so that a model always says its own first. `verify.untagged` judges what comes behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sharpen.core import Ask, RolloutGenerator, Task
from sharpen.hashing import derive
from sharpen.rollouts.rollout import with_system

OPEN, CLOSE = "<tags>", "</tags>"


def tags_of(task: Task) -> dict[str, str]:
    """Family, level, form of the answer (its verifier), words of the worked solution, and what the task's data call `tags`."""
    own = task.data.get("tags")
    words = len((task.solution or task.answer or "").split())
    found = {"family": task.family, "level": str(task.level), "form": task.verifier, "words": str(words)}
    return found | ({str(k): str(v) for k, v in own.items()} if isinstance(own, Mapping) else {})


def written(tags: Mapping[str, str]) -> str:
    return f"{OPEN}{' '.join(f'{name}={value}' for name, value in tags.items())}{CLOSE}" if tags else ""


def dropped(tags: Mapping[str, str], key: str, whole: float, some: float) -> dict[str, str]:
    """What is left of the tags: nothing with probability `whole`, else each of them with probability 1 - `some`. The same for
    the same key."""
    if derive(0, "tags", key) / 2**63 < whole:
        return {}
    return {name: value for name, value in tags.items() if derive(0, "tag", key, name) / 2**63 >= some}


def tagged(
    task: Task, whole: float = 0.5, some: float = 0.5, own: bool = True, fixed: str = "", system: str = ""
) -> RolloutGenerator:
    """A training task with its worked solution: its tags behind the question, some left out, and all before the answer. A task
    that is held out is asked alone, so that the model says the tags; or with those that are `fixed`, such as "words=3".

    whole, some  shares of tasks without any tag, and of tags left out of the others. Source: Treasure Hunt (arXiv 2506.14702),
                 section 3: half and half
    own          False: no tags before the answer, which takes from the model the way to say its own
    """
    if task.split != "train":
        return (yield Ask(with_system(behind(task, f"{OPEN}{fixed}{CLOSE}" if fixed else ""), system)))
    tags = tags_of(task)
    answer = task.solution if task.solution is not None else task.answer or ""
    said = behind(task, written(dropped(tags, task.id, whole, some)))
    return (yield Ask(with_system(said, system), answer=f"{written(tags) if own else ''}{answer}"))


def behind(task: Task, text: str) -> Task:
    """The task with a text behind its question."""
    *before, last = task.prompt
    if not text or not isinstance(last["content"], str):
        return task
    return replace(task, prompt=(*before, {**last, "content": f"{last['content']} {text}"}))


def read(response: str) -> dict[str, str]:
    """The tags that an answer begins with."""
    text = response.lstrip()
    inside = text[len(OPEN) :].partition(CLOSE)[0] if text.startswith(OPEN) and CLOSE in text else ""
    return dict(part.partition("=")[::2] for part in inside.split() if "=" in part)


def accuracy(tasks: Sequence[Task], responses: Sequence[str], name: str = "family") -> float:
    """How often the model says a tag of that name rightly; NaN without tasks."""
    right = [read(text).get(name) == tags_of(task)[name] for task, text in zip(tasks, responses, strict=True)]
    return sum(right) / len(right) if right else float("nan")
