"""When each instruction starts and ends: three queues, one port to DRAM, one compute unit."""

from collections.abc import Sequence
from dataclasses import dataclass

from condense_compiler.targets.accelerator.isa.records import Queue
from condense_compiler.targets.accelerator.machine import Machine
from condense_compiler.targets.accelerator.simulator.program import Issue


@dataclass(frozen=True, slots=True)
class Timed:
    """An instruction in time.

    Attributes:
        issue: The instruction.
        first_cycle: When it starts.
        last_cycle: When it has ended.
        busy_cycles: How long it holds its unit or the port.
        waited_for: What the compute unit waited for before it, if anything; as traffic is counted.
        waited_cycles: How long.
    """

    issue: Issue
    first_cycle: int
    last_cycle: int
    busy_cycles: int
    waited_for: str = ""
    waited_cycles: int = 0


def schedule(issues: Sequence[Issue], machine: Machine) -> list[Timed]:
    """Return every instruction with its time, in the order in which they start."""
    waiting = {queue: [i for i in issues if i.queue is queue] for queue in Queue}
    done: dict[Queue, list[Timed]] = {queue: [] for queue in Queue}
    port_free, timed = 0, []
    while any(len(done[queue]) < len(waiting[queue]) for queue in Queue):
        first, _, _, queue = min(_ready(waiting, done, port_free))
        entry = _run(waiting[queue][len(done[queue])], first, done, machine)
        if queue is not Queue.COMPUTE:
            port_free = first + entry.busy_cycles
        done[queue].append(entry)
        timed.append(entry)
    return timed


def _ready(
    waiting: dict[Queue, list[Issue]], done: dict[Queue, list[Timed]], port_free: int
) -> list[tuple[int, int, bool, Queue]]:
    """Return when the next instruction of each queue could start, where that is known.

    Returns:
        Cycle in which it could start, cycle since which it only waits for the port, whether it is
        a load, and the queue. The smallest of them is served: of transfers that are ready at the
        same time, a store, which makes room.
    """
    ready = []
    for queue, issues in waiting.items():
        if len(done[queue]) == len(issues):
            continue
        waits = issues[len(done[queue])].start.waits.by_queue()
        if all(wait <= len(done[other]) for other, wait in zip(Queue, waits, strict=True)):
            moment = max(_end(done[other], wait) for other, wait in zip(Queue, waits, strict=True))
            previous = done[queue][-1] if done[queue] else None
            if previous is not None:
                moment = max(moment, previous.first_cycle + previous.busy_cycles)
            first = moment if queue is Queue.COMPUTE else max(moment, port_free)
            ready.append((first, moment, queue is Queue.LOAD, queue))
    return ready


def _end(entries: list[Timed], count: int) -> int:
    return entries[count - 1].last_cycle if count else 0


def _run(issue: Issue, first: int, done: dict[Queue, list[Timed]], machine: Machine) -> Timed:
    busy = issue.instruction.cycles(issue.start, machine)
    if issue.queue is not Queue.COMPUTE:
        return Timed(issue, first, first + machine.dram_latency_cycles + busy, busy)
    before = done[Queue.COMPUTE][-1].last_cycle if done[Queue.COMPUTE] else 0
    if first == before:
        return Timed(issue, first, first + busy, busy)
    latest = max(
        (
            done[queue][wait - 1]
            for queue, wait in zip(Queue, issue.start.waits.by_queue(), strict=True)
            if wait
        ),
        key=lambda entry: entry.last_cycle,
    )
    cause = latest.issue.instruction.traffic
    return Timed(issue, first, first + busy, busy, cause, first - before)
