"""From samples to a coefficient for each token: every training objective as a tableau of exchangeable parts.

advantage.py is what a response is credited with, tableau.py puts the parts together. policy_gradient.py has REINFORCE to
CISPO and SFT; preferences.py DPO and its kin; hybrid.py worked solutions beside own answers; distillation.py a teacher's
distribution; turns.py credits turns, steps.py parts of answers; contrast.py has rankings, principles and sharpening;
penalties.py and entropy.py what is added; off_policy.py rollouts of earlier versions, stale.py the correction for them where
a run is ahead of its learner; games.py small matrix games to try preferences on; unrolled.py gradients through learning;
rewards.py what reward models learn. Of what earlier stages of a run taught, consolidation.py keeps weights near, gradients.py
leaves it alone, and rehearsal.py practises it again.

May import: data.
"""

from sharpen.objectives import (
    advantage,
    consolidation,
    contrast,
    distillation,
    entropy,
    games,
    gradients,
    hybrid,
    off_policy,
    penalties,
    policy_gradient,
    preferences,
    rehearsal,
    rewards,
    steps,
    turns,
    unrolled,
)
from sharpen.objectives.stale import decoupled
from sharpen.objectives.tableau import active, example, example_penalty, weigh

__all__ = [
    "active",
    "advantage",
    "consolidation",
    "contrast",
    "decoupled",
    "distillation",
    "entropy",
    "example",
    "example_penalty",
    "games",
    "gradients",
    "hybrid",
    "off_policy",
    "penalties",
    "policy_gradient",
    "preferences",
    "rehearsal",
    "rewards",
    "steps",
    "turns",
    "unrolled",
    "weigh",
]
