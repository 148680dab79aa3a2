"""A conjecturer that is rewarded for what is barely provable keeps pace with the prover, and neither runs out of signal.

Paper: arXiv 2502.00212 (STP); seeds above 0.35, conjectures below 0.25, weights 1 where kept
Parent: grpo
Differs: one student is both: it writes questions from tasks solved in more than 0.35 of their tries, and learns to write
    those that were solved, but in less than 0.25 of them; a program answers, as a verifier of proofs would. From the paper:
    no lemmas, no elegance filter, no matching of embeddings; practice beside imitation of questions, in the same step
"""

from dataclasses import replace
from functools import partial

from sharpen.core import Task, Weakness
from sharpen.data import diagnose, growth, label, noisy, propose, relabel, worth
from sharpen.objectives import policy_gradient
from sharpen.recipe import Recipe
from sharpen.recipes import growing
from sharpen.recipes.policy_gradient import grpo
from sharpen.tasks import answer_of


def recipe(n: int = 64, share: float = 0.1, high: float = 0.5) -> Recipe:
    parent = grpo.recipe()
    if not n:
        return parent
    seeds = partial(diagnose.by_task, worth=partial(worth.above, least=0.35))
    write = partial(propose.own_words, by=worth.equal)
    labels = (partial(label.by_program, solve=answer_of),)
    grow = partial(growth.closed_loop, n=n, diagnose=seeds, propose=write, label=labels)
    select = partial(relabel.questions, share=share, worth=worth.barely)
    made = replace(parent, grow=grow, grow_tries=8, grow_high=high)
    return replace(made, select=select, objective=policy_gradient.practice)


NEUTRAL = dict(n=0, high=1.0)


def check(made: Recipe) -> bool:
    """Seeds are tasks above 0.35; a conjecture that no program can check is thrown away, the others have its answer."""
    own = iter([*(noisy.FORM.format(f"{n} + 11") for n in range(20, 60)), *["Prove it."] * 100])
    found, _ = growing.play(made, lambda ask: next(own))
    seeds, tasks = growing.of(Weakness, found), growing.of(Task, found)
    return max(w.rate for w in seeds) < 0.65 and len(tasks) == 40 and all(map(growing.true, tasks))
