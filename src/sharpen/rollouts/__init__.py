"""Who is asked what, in which order: rollouts as generators, and the driver that batches them.

rollout.py has the strategies (single, self_correct, rationalise, demonstrate) and `drive`.

May import: verify.
"""

from sharpen.rollouts.rollout import demonstrate, demonstrating, drive, rationalise, self_correct, single, unaided

__all__ = ["demonstrate", "demonstrating", "drive", "rationalise", "self_correct", "single", "unaided"]
