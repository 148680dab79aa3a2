"""Other processes that generate: engines behind HTTP, and weights published to them with proof.

served.py is what a policy's `elsewhere` is; meeting.py looks at a server first, pool.py shares work out among replicas,
routes.py says how each kind of server is asked, wire.py is HTTP with a deadline. publish.py writes weights, transport.py has
servers load them, nccl.py sends them without a disk, proof.py finds out whether they came.

May import: terminal, models.engine, models, store.
"""

from sharpen.engines import meeting, nccl, proof, publish, routes, transport, wire
from sharpen.engines.served import BATCH, Served

__all__ = ["BATCH", "Served", "meeting", "nccl", "proof", "publish", "routes", "transport", "wire"]
