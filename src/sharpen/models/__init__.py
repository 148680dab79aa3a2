"""Whatever answers, is scored or learns.

policy.py is a causal LM in this process (adapters.py: LoRA; critic.py: a value head; logprobs.py: its passes). embedded.py
builds the embedded student, scripted.py a policy that answers from a function; mixing.py averages checkpoints.
Generation and training passes are in engine/.

May import: objectives, models.engine.
"""

from sharpen.models import embedded
from sharpen.models.mixing import mix
from sharpen.models.policy import LocalPolicy, load_model
from sharpen.models.scripted import ScriptedPolicy

__all__ = ["LocalPolicy", "ScriptedPolicy", "embedded", "load_model", "mix"]
