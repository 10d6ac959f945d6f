"""List scheduling: at each step the operator that leaves the fewest bytes stored."""

from condense_compiler.memory.scheduler import OrderProblem


def greedy_order(problem: OrderProblem) -> list[int]:
    """Return the operators in sequence; of equally good ones the first in the file runs first."""
    before = [set(others) for others in problem.predecessors]
    unread = [len(stored.readers) for stored in problem.maps]
    reads: list[list[int]] = [[] for _ in before]
    change = [0] * problem.operator_count
    for index, stored in enumerate(problem.maps):
        for reader in stored.readers:
            reads[reader].append(index)
            if stored.writer is not None:
                before[reader].add(stored.writer)
        if stored.writer is not None and (stored.kept or stored.readers):
            change[stored.writer] += stored.size

    def left(operator: int) -> int:
        """Return by how much the stored bytes grow."""
        stored = (problem.maps[index] for index in reads[operator] if unread[index] == 1)
        return change[operator] - sum(m.size for m in stored if not m.kept)

    order: list[int] = []
    waiting = dict.fromkeys(range(problem.operator_count))
    done: set[int] = set()
    while waiting:
        ready = [operator for operator in waiting if before[operator] <= done]
        best = min(ready, key=left)
        for index in reads[best]:
            unread[index] -= 1
        done.add(best)
        order.append(best)
        del waiting[best]
    return order
