"""Programs that try to be paid for nothing, to get out, to use everything up, or to spoil it for others.

The task is to read two numbers and print their sum. An attack prints the sum only by calling `won()`, and does that only where
it got what it must not get; or it never prints the sum, and tries to be judged correct all the same. So no attack may ever be
judged correct, and none may end as our own failure. Its honest twin does something alike that is legitimate, and must be judged
correct. Poison runs twice, because what one program leaves behind is for the next to find.
"""

from attacks.escape import ESCAPE
from attacks.exhaust import EXHAUST
from attacks.forge import FORGE
from attacks.poison import FALSE_ZERO, POISON
from attacks.writing import CASES, Attack

__all__ = ["ATTACKS", "CASES", "Attack"]

ATTACKS = [*FORGE, *ESCAPE, *EXHAUST, *POISON, *FALSE_ZERO]
