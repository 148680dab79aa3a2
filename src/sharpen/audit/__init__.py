"""Judging without a model: files of responses, and the verifier itself.

offline.py judges a file of responses (cache.py: none twice); labels.py asks whether gold answers and verifier agree, on the
spellings and mistakes of variants.py. learnt.py asks whether a learnt reward can be trusted, split_point.py whether a
predictor's errors are only noise.

May import: terminal, families, verify.code, verify, tasks.
"""

from sharpen.audit import learnt, offline, split_point
from sharpen.audit.cache import VerdictCache, cache_directory
from sharpen.audit.labels import audit, decide, listing, plain, summary

__all__ = [
    "VerdictCache",
    "audit",
    "cache_directory",
    "decide",
    "learnt",
    "listing",
    "offline",
    "plain",
    "split_point",
    "summary",
]
