"""Whatever answers, is scored or learns.

policy.py is a causal LM in this process (loading.py: from a directory; adapters.py: LoRA; critic.py: a value head;
logprobs.py: its passes). roles.py says who stands behind a recipe's roles, endpoint.py is one behind a server. embedded.py
builds the embedded student, scripted.py a policy that answers from a function; mixing.py
averages checkpoints. paths.py measures which way a model takes on this processor, cores.py whether others use its cores.
Generation and training passes are in engine/.

May import: verify, objectives, models.engine.
"""

from sharpen.models import embedded, paths, roles
from sharpen.models.cores import Watch
from sharpen.models.loading import load_model, where
from sharpen.models.mixing import mix
from sharpen.models.policy import LocalPolicy
from sharpen.models.scripted import ScriptedPolicy

__all__ = ["LocalPolicy", "ScriptedPolicy", "Watch", "embedded", "load_model", "mix", "paths", "roles", "where"]
