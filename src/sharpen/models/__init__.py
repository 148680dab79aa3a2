"""Whatever answers, is scored or learns.

policy.py is a causal LM in this process (turns.py: what is asked of it as tokens; study.py: what it reads before; loading.py:
from a directory; gguf.py: from a file or a package; saving.py: to a directory and back; snapshot.py: written while it learns
on; picture.py: answering while it learns on; adapters.py: LoRA; base.py: what an adapter lies on; critic.py: a value head;
reward.py: a reward model; logprobs.py: its passes, which fit memory.py; optimizer.py: AdamW, in 32 bits or in 8), and
probe.py tries one that is brought before it is paid for. roles.py says who stands behind a recipe's roles, endpoint.py is one
behind a server. embedded.py builds the embedded student, scripted.py a policy that answers from a function; mixing.py
averages checkpoints, merging.py makes one of several models. sharded.py is a policy on several processes, ranks.py how they
share it, shards.py reads what they write. paths.py measures which way a model takes on this processor, cores.py how many of
its cores this process may use and whether others do. embedding.py has texts as hidden states; steering.py makes a model play
a trait, heads.py says which attention heads carry an answer, knob.py finds the direction that weighs context against
knowledge, test_time.py lets one learn for a single question.
Generation and training passes are in engine/.

May import: terminal, verify, objectives, models.engine.
"""

from sharpen.models import (
    adapters,
    base,
    cores,
    embedded,
    heads,
    knob,
    memory,
    merging,
    paths,
    picture,
    roles,
    saving,
    steering,
    test_time,
)
from sharpen.models.cores import Watch
from sharpen.models.embedding import angles, embed
from sharpen.models.gguf import located
from sharpen.models.likeliest import Likeliest, likeliest
from sharpen.models.loading import end_ids, fast_bf16, holds_model, load_model, load_tokenizer, refuse_stranger, where
from sharpen.models.mixing import mix
from sharpen.models.policy import LocalPolicy, unheard
from sharpen.models.probe import probe
from sharpen.models.reward import Blank, RewardModel, ScriptedScorer
from sharpen.models.scripted import ScriptedPolicy
from sharpen.models.sharded import Job, Sharded, attend, joined
from sharpen.models.snapshot import save_soon
from sharpen.models.to_gguf import write_gguf

__all__ = [
    "Likeliest",
    "Blank",
    "Job",
    "LocalPolicy",
    "RewardModel",
    "ScriptedPolicy",
    "ScriptedScorer",
    "Sharded",
    "Watch",
    "adapters",
    "angles",
    "base",
    "cores",
    "attend",
    "joined",
    "embed",
    "embedded",
    "end_ids",
    "fast_bf16",
    "heads",
    "holds_model",
    "knob",
    "likeliest",
    "load_model",
    "load_tokenizer",
    "located",
    "memory",
    "merging",
    "mix",
    "paths",
    "picture",
    "probe",
    "refuse_stranger",
    "roles",
    "save_soon",
    "saving",
    "steering",
    "test_time",
    "unheard",
    "where",
    "write_gguf",
]
