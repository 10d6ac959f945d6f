"""Run a binary: exact results, cycles, traffic, and storage."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.integer.arithmetic import CODE_MAX, CODE_MIN
from condense_compiler.targets.accelerator.isa.binary import Binary
from condense_compiler.targets.accelerator.isa.ports import PortRecord
from condense_compiler.targets.accelerator.isa.program import encode
from condense_compiler.targets.accelerator.isa.records import Queue
from condense_compiler.targets.accelerator.isa.table import INSTRUCTIONS
from condense_compiler.targets.accelerator.simulator.memories import Known, Memory, codes, rows
from condense_compiler.targets.accelerator.simulator.program import (
    Issue,
    decode_program,
    memory_sizes,
    port_area,
)
from condense_compiler.targets.accelerator.simulator.timing import Timed, schedule
from condense_compiler.targets.accelerator.simulator.units import compute

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a run costs.

    Attributes:
        cycles: From the first transfer to the last.
        compute_cycles: While the compute unit works.
        macs: Multiply-accumulate operations.
        mac_utilisation: Share of the units' products that were asked for, of all cycles.
        stalls: Cycles in which the compute unit waits, by what for.
        traffic: Bytes to and from DRAM, by what for, in whole bursts.
        chip_bytes: Highest use of the feature-map memory.
        weight_buffer_bytes: Highest use of the weight buffer.
        dram_bytes: Highest use of DRAM for feature maps.
        instruction_bytes: Size of the program, read once.
    """

    cycles: int
    compute_cycles: int
    macs: int
    mac_utilisation: float
    stalls: Mapping[str, int]
    traffic: Mapping[str, int]
    chip_bytes: int
    weight_buffer_bytes: int
    dram_bytes: int
    instruction_bytes: int

    @property
    def traffic_bytes(self) -> int:
        """Bytes to and from DRAM, but for the instructions."""
        return sum(self.traffic.values())


@dataclass(frozen=True, slots=True)
class Run:
    """Results of a run.

    Attributes:
        outputs: Graph outputs by name.
        counts: What it costs.
        timed: Every instruction in time.
    """

    outputs: Mapping[str, Array]
    counts: Counts
    timed: Sequence[Timed]


def simulate(binary: Binary, feeds: Mapping[str, Array]) -> Run:
    """Run a binary.

    Raises:
        InputError: The feeds do not match, or the program breaks a rule of the machine.
    """
    issues = decode_program(binary)
    memories = _memories(binary)
    _feed(binary, memories["dram"], feeds)
    for index, (issue, finished) in enumerate(zip(issues, _known_finished(issues), strict=True)):
        try:
            _execute(issue, finished, memories)
        except InputError as error:
            raise InputError(f"instruction {index}, {issue.instruction.name}: {error}") from None
    outputs = {p.name: _fetch(p, memories["dram"]) for p in binary.ports if p.is_output}
    timed = schedule(issues, binary.machine)
    return Run(outputs, _count(binary, timed, memories), timed)


def _memories(binary: Binary) -> dict[str, Memory]:
    sizes = memory_sizes(binary)
    section = Memory("section", np.frombuffer(binary.weights, np.int8))
    memories = {name: Memory(name, np.zeros(size, np.int8)) for name, size in sizes.items()}
    return memories | {"section": section}


def _feed(binary: Binary, dram: Memory, feeds: Mapping[str, Array]) -> None:
    ports = {port.name: port for port in binary.ports if not port.is_output}
    if feeds.keys() != ports.keys():
        raise InputError(
            f"give inputs {', '.join(ports) or 'none'}; {', '.join(feeds) or 'none'} were given"
        )
    for name, port in ports.items():
        if feeds[name].shape != port.shape:
            given = list(feeds[name].shape)
            raise InputError(f"input {name!r} has shape {list(port.shape)}; {given} was given")
        with np.errstate(invalid="ignore"):
            steps = np.rint(feeds[name].astype(np.float32) / np.float32(port.scale)) + port.zero
            values = np.clip(np.nan_to_num(steps), CODE_MIN, CODE_MAX).astype(np.int8)
        by_row = values.reshape(port.pixels).transpose(1, 0, 2)
        dram.fill(port_area(port), by_row.reshape(port.pixels[1], -1))


def _fetch(port: PortRecord, dram: Memory) -> Array:
    stored = codes(dram.content, port_area(port), port.pixels[0])
    steps = stored.astype(np.float32) - np.float32(port.zero)
    return (steps * np.float32(port.scale)).reshape(port.shape)


def _known_finished(issues: Sequence[Issue]) -> list[Known]:
    """Return, for each instruction, how many of each queue have surely finished before it."""
    known: list[Known] = []
    by_queue: dict[Queue, list[Known]] = {queue: [] for queue in Queue}
    for issue in issues:
        finished = list(issue.start.waits.by_queue())
        finished[issue.queue] = issue.number
        behind = [
            by_queue[queue][count - 1]
            for queue, count in zip(Queue, finished, strict=True)
            if count
        ]
        merged = [max(column) for column in zip(finished, *behind, strict=True)]
        entry = (merged[0], merged[1], merged[2])
        by_queue[issue.queue].append(entry)
        known.append(entry)
    return known


def _execute(issue: Issue, known: Known, memories: dict[str, Memory]) -> None:
    reads, writes = issue.access.reads.values(), issue.access.writes.values()
    replaced = writes if issue.instruction.in_place else ()
    for area in reads:
        if area.memory == "section":
            continue
        memories[area.memory].check_read(area, known)
        if area not in replaced:
            memories[area.memory].record_read(area, issue.queue, issue.number)
    for area in writes:
        memories[area.memory].write(area, issue.queue, issue.number, known)
    if issue.queue is Queue.COMPUTE:
        weights = memories["weights"].content.view(np.uint8)
        compute(issue, memories["chip"].content, weights)
        return
    for source, destination in zip(reads, writes, strict=True):
        values = rows(memories[source.memory].content, source)
        rows(memories[destination.memory].content, destination)[...] = values


def _count(binary: Binary, timed: Sequence[Timed], memories: dict[str, Memory]) -> Counts:
    machine = binary.machine
    moves = [row.traffic for row in INSTRUCTIONS if row.traffic]
    traffic: Counter[str] = Counter(dict.fromkeys(moves, 0))
    stalls: Counter[str] = Counter()
    for entry in timed:
        if entry.issue.instruction.traffic:
            moved = entry.issue.access.external_bytes(machine.burst_bytes)
            traffic[entry.issue.instruction.traffic] += moved
        elif entry.waited_cycles:
            stalls[entry.waited_for] += entry.waited_cycles
    cycles = max((entry.last_cycle for entry in timed), default=0)
    macs = sum(entry.issue.macs for entry in timed)
    return Counts(
        cycles=cycles,
        compute_cycles=sum(e.busy_cycles for e in timed if e.issue.queue is Queue.COMPUTE),
        macs=macs,
        mac_utilisation=macs / max(1, cycles * machine.rows * machine.lanes),
        stalls=dict(stalls),
        traffic=dict(traffic),
        chip_bytes=memories["chip"].used_bytes,
        weight_buffer_bytes=memories["weights"].used_bytes,
        dram_bytes=max(memories["dram"].used_bytes, _ports_end(binary)),
        instruction_bytes=len(encode(binary.program)),
    )


def _ports_end(binary: Binary) -> int:
    return max((p.address + p.pitch * p.pixels[1] for p in binary.ports), default=0)
