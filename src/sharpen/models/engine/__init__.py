"""Generation and training passes, C included.

generate.py answers many prompts at once (cache.py, sampling.py; generic.py: any causal LM), transformer.py is the forward
pass of the Llama family on packed rows (packing.py). native.py compiles decode_step.c and train_step.c where there is a
compiler; decode_step.py and train_step.py call them.

May import: terminal.
"""

from sharpen.models.engine import generate, generic, sampling, transformer
from sharpen.models.engine.packing import common_beginnings, pack

__all__ = ["common_beginnings", "generate", "generic", "pack", "sampling", "transformer"]
