"""Tags in training, half of them left out of the question, let a model be steered, or tag itself, and lift rare tasks.

Paper: arXiv 2506.14702 (Treasure Hunt), section 3; half of the lists dropped, and half of the tags of the others
Parent: sft
Differs: tags of each task behind its question, with dropout, and all of them before its answer, all imitated; the verdict is
    on what comes behind. From the paper: four kinds of tags that are known of a task instead of thirteen that a model fills
    in. With `--set rollout.fixed=words=3` a held-out task is asked with a tag
"""

from dataclasses import replace
from functools import partial

from sharpen import rollouts, verify
from sharpen.recipe import Recipe
from sharpen.recipes.played import played
from sharpen.recipes.supervised import sft
from sharpen.rollouts import tags


def recipe(whole: float = 0.5, some: float = 0.5, own: bool = True, tagged: bool = True) -> Recipe:
    parent = sft.recipe()
    if not tagged:
        return parent
    told = partial(rollouts.tags.tagged, whole=whole, some=some, own=own)
    return replace(parent, rollout=told, verify=verify.untagged, max_tokens=parent.max_tokens + 32)


NEUTRAL = dict(tagged=False)


def check(made: Recipe) -> bool:
    """Of 400 tasks half have no tags, and the others half of theirs; the answer says all of them, and is judged behind them."""
    left = [len(tags.dropped(dict.fromkeys("abcd", "1"), str(i), 0.5, 0.5)) for i in range(400)]
    said = played(made.rollout, "", solution="4")
    right = made.verify(said.task, said.response).correct and not made.verify(said.task, "<tags>family=4").correct
    return (
        0.43 < sum(n == 0 for n in left) / 400 < 0.63
        and 0.8 < sum(left) / 400 < 1.2
        and right
        and len(tags.read(said.response)) == 4
    )
