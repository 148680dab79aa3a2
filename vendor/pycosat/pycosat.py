"""What reasoning-gym uses of pycosat, by python-sat, which comes compiled: for machines without a C compiler (Makefile).

Solutions are the same; they may come in another order.
"""

from collections.abc import Iterable, Iterator

from pysat.solvers import Solver


def itersolve(clauses: Iterable[Iterable[int]]) -> Iterator[list[int]]:
    """Every solution of clauses of numbered literals, each a list of literals; none where there is none."""
    with Solver(name="minisat22", bootstrap_with=[list(clause) for clause in clauses]) as solver:
        yield from solver.enum_models()
