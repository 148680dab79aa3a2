"""Generation and training passes, C included.

generate.py answers many prompts at once (cache.py, sampling.py; generic.py: any causal LM), transformer.py is the forward
pass of the Llama family on packed rows (packing.py). native.py compiles decode_step.c and train_step.c where there is a
compiler; decode_step.py and train_step.py call them.

May import: nothing but the ground files.
"""

from sharpen.models.engine import generate, native, sampling, transformer
from sharpen.models.engine.decode_step import Kept
from sharpen.models.engine.packing import common_beginnings, pack

__all__ = ["Kept", "common_beginnings", "generate", "native", "pack", "sampling", "transformer"]
