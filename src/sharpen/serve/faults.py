"""What goes wrong with engines in the field, as switches of `contract.Engine`: each is to stop a run, by its name.

Each fault begins once the engine has been given weights `AFTER` times, so that a run is under way. What the run says of each is
in `SAID`.
"""

from __future__ import annotations

AFTER = 5  # publishes that go well before the fault, three of them when it is met
SAID = {
    "stale_weights": "stale_weights",  # it says that it has loaded the new weights, and goes on with the old ones
    "adapter_ignored": "adapter_ignored",  # it loads the adapter, and answers with the model beneath it
    "replica_behind": "replica_behind",  # one of several keeps the old weights
    "half_written": "half_written",  # the directory is cut short before it is read
    "wrong_adapter": "wrong_adapter",  # it answers with another adapter than the one that is named
    "wrong_weights": "wrong_weights",  # it runs weights that nobody published
    "engine_restarted": "engine_restarted",  # it begins anew with its first weights, and says that they are the present ones
    "tokenizer_differs": "tokenizer_differs",  # from the start
    "template_differs": "template_differs",  # from the start
    "other_ids": "other_ids",  # its token ids are not those that its log-probabilities belong to
    "logprobs_missing": "logprobs_missing",
    "short_context": "short_context",  # from the start
    "ended_early": "ended_early",  # answers end before their end, at some length of its own
    "another_run": "another_run",  # somebody else publishes to it
    "not_loaded": "not_loaded",  # it does not find the directory
    "head_kept": "head_kept",  # it says that it packs weights for a processor; vLLM's packed output matrix is not renewed
    "bits_flipped": "replicas_differ",  # from the start; one of several holds a weight whose last bit is another
    "other_version": "other_version",  # it has none of the routes, from the start
}
FROM_THE_START = ("tokenizer_differs", "template_differs", "short_context", "head_kept", "bits_flipped", "other_version")
ONE_OF_SEVERAL = ("replica_behind", "bits_flipped")
