"""When each instruction starts and ends: three queues, one port to DRAM, one compute unit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from condense_compiler.targets.accelerator.isa.registers import Opcode, Queue
from condense_compiler.targets.accelerator.machine import Machine
from condense_compiler.targets.accelerator.simulator.access import Area
from condense_compiler.targets.accelerator.simulator.program import Start

CAUSES = {
    Opcode.LOAD: "feature maps read",
    Opcode.LOAD_WEIGHTS: "weights",
    Opcode.STORE: "feature maps written",
}


@dataclass(frozen=True, slots=True)
class Timed:
    """An instruction in time.

    Attributes:
        start: The instruction.
        first_cycle: When it starts.
        last_cycle: When it has ended.
        busy_cycles: How long it holds its unit or the port.
        waited_for: What the compute unit waited for before it, if anything; see `CAUSES`.
        waited_cycles: How long.
    """

    start: Start
    first_cycle: int
    last_cycle: int
    busy_cycles: int
    waited_for: str = ""
    waited_cycles: int = 0


def schedule(starts: Sequence[Start], machine: Machine) -> list[Timed]:
    """Return every instruction with its time, in the order in which they start."""
    waiting = {queue: [s for s in starts if s.queue is queue] for queue in Queue}
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
    waiting: dict[Queue, list[Start]], done: dict[Queue, list[Timed]], port_free: int
) -> list[tuple[int, int, bool, Queue]]:
    """Return when the next instruction of each queue could start, where that is known.

    Returns:
        Cycle in which it could start, cycle since which it only waits for the port, whether it is
        a load, and the queue. The smallest of them is served: of transfers that are ready at the
        same time, a store, which makes room.
    """
    ready = []
    for queue, starts in waiting.items():
        if len(done[queue]) == len(starts):
            continue
        start = starts[len(done[queue])]
        if all(wait <= len(done[other]) for other, wait in zip(Queue, start.waits, strict=True)):
            moment = max((_end(done[o], w) for o, w in zip(Queue, start.waits, strict=True)))
            previous = done[queue][-1] if done[queue] else None
            if previous is not None:
                moment = max(moment, previous.first_cycle + previous.busy_cycles)
            first = moment if queue is Queue.COMPUTE else max(moment, port_free)
            ready.append((first, moment, queue is Queue.LOAD, queue))
    return ready


def _end(entries: list[Timed], count: int) -> int:
    return entries[count - 1].last_cycle if count else 0


def _run(start: Start, first: int, done: dict[Queue, list[Timed]], machine: Machine) -> Timed:
    if start.queue is not Queue.COMPUTE:
        busy = transfer_cycles(start, machine)
        return Timed(start, first, first + machine.dram_latency_cycles + busy, busy)
    busy = compute_cycles(start, machine)
    before = done[Queue.COMPUTE][-1].last_cycle if done[Queue.COMPUTE] else 0
    if first == before:
        return Timed(start, first, first + busy, busy)
    latest = max(
        (done[queue][wait - 1] for queue, wait in zip(Queue, start.waits, strict=True) if wait),
        key=lambda entry: entry.last_cycle,
    )
    cause = CAUSES[latest.start.opcode]
    return Timed(start, first, first + busy, busy, cause, first - before)


def traffic_bytes(start: Start, machine: Machine) -> int:
    """Return the bytes that a transfer moves: whole bursts."""
    reads, writes = start.access.reads[0], start.access.writes[0]
    far = writes if start.opcode is Opcode.STORE else reads
    return _burst_count(far, machine.burst_bytes) * machine.burst_bytes


def _burst_count(area: Area, burst: int) -> int:
    first = area.address + np.arange(area.rows, dtype=np.int64) * area.pitch
    spans = (first + area.row_bytes - 1) // burst - first // burst + 1
    # Rows that follow each other share the burst in which one ends and the next begins.
    shared = area.pitch == area.row_bytes
    if shared:
        last = area.address + area.rows * area.row_bytes - 1
        return int(last // burst - area.address // burst + 1)
    return int(spans.sum())


def transfer_cycles(start: Start, machine: Machine) -> int:
    """Return how long a transfer holds the port."""
    return -(-traffic_bytes(start, machine) // machine.dram_bytes_per_cycle)


def compute_cycles(start: Start, machine: Machine) -> int:
    """Return how long an instruction holds the compute unit."""
    r = start.registers
    if start.opcode is not Opcode.CONVOLVE:
        taps = r["pool_height"] * r["pool_width"] if start.opcode is Opcode.POOL else 1
        elements = r["output_channels"] * r["output_height"] * r["output_width"]
        return machine.block_overhead_cycles + -(-elements * taps // machine.rows)
    pixels = sums_pixels(r)
    tiles = -(-r["wide_channels"] // machine.rows)
    steps = -(-products(r) // machine.lanes)
    blocks = tiles * -(-pixels // (machine.accumulators // machine.rows))
    return tiles * pixels * steps + blocks * machine.block_overhead_cycles


def products(registers: dict[str, int]) -> int:
    """Return the products of one sum."""
    channels = 1 if registers["depthwise"] else registers["input_channels"]
    return channels * registers["kernel_height"] * registers["kernel_width"]


def sums_pixels(r: dict[str, int]) -> int:
    """Return the pixels of a convolution, in front of the pooling behind it."""
    count = 1
    for size, axis, (before, after) in (
        ("height", "y", ("top", "bottom")),
        ("width", "x", ("left", "right")),
    ):
        reach = r[f"dilation_{axis}"] * (r[f"kernel_{size}"] - 1) + 1
        padded = r[f"input_{size}"] + r[f"pad_{before}"] + r[f"pad_{after}"]
        count *= (padded - reach) // r[f"stride_{axis}"] + 1
    return count


def macs(start: Start) -> int:
    """Return the multiply-accumulate operations of an instruction."""
    if start.opcode is not Opcode.CONVOLVE:
        return 0
    r = start.registers
    return r["wide_channels"] * sums_pixels(r) * products(r)
