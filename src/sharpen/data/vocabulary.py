"""Which words of a text may be read: the commonest share of what has been read so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sharpen.core import Sample

COUNTS = "vocabulary"  # the name in `notes`


def hidden_rare(samples: Sequence[Sample], share: float, *, notes: dict[str, Any], mask_token: int) -> list[Sample]:
    """The samples, of which the tokens of answers that are not among the commonest `share` of all kinds of tokens seen so far
    are hidden from the input; what is predicted stays. `notes` counts tokens from step to step.

    At a share of 1 nothing is hidden. Source: the vocabulary curriculum of CLIMB (BabyLM), whose order is the tokenizer's.
    """
    counts = Counter({int(k): int(n) for k, n in notes.get(COUNTS, {}).items()})
    for s in samples:
        counts.update(s.rollout.tokens[s.rollout.sampled].tolist())
    notes[COUNTS] = {str(k): n for k, n in sorted(counts.items())}
    if share >= 1:
        return list(samples)
    ranked = sorted(counts, key=lambda token: (-counts[token], token))
    common = np.array(sorted(ranked[: max(round(share * len(ranked)), 1)]))
    found = []
    for s in samples:
        tokens = s.rollout.tokens if s.inputs is None else s.inputs
        rare = s.rollout.sampled & ~np.isin(s.rollout.tokens, common)
        found.append(replace(s, inputs=np.where(rare, mask_token, tokens)) if rare.any() else s)
    return found
