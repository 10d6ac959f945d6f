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
from condense_compiler.targets.accelerator.isa.instructions import INSTRUCTION_BYTES
from condense_compiler.targets.accelerator.isa.ports import PortRecord
from condense_compiler.targets.accelerator.isa.registers import Opcode, Queue
from condense_compiler.targets.accelerator.simulator.access import Area
from condense_compiler.targets.accelerator.simulator.memories import Known, Memory, codes, rows
from condense_compiler.targets.accelerator.simulator.program import Start, decode_program
from condense_compiler.targets.accelerator.simulator.timing import (
    CAUSES,
    Timed,
    macs,
    schedule,
    traffic_bytes,
)
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
    starts = decode_program(binary)
    memories = _memories(binary)
    _feed(binary, memories["dram"], feeds)
    known = _known_finished(starts)
    for index, (start, finished) in enumerate(zip(starts, known, strict=True)):
        try:
            _execute(start, finished, memories)
        except InputError as error:
            raise InputError(f"start {index}, {start.opcode.name}: {error}") from None
    outputs = {p.name: _fetch(p, memories["dram"]) for p in binary.ports if p.is_output}
    timed = schedule(starts, binary.machine)
    return Run(outputs, _count(binary, timed, memories), timed)


def _memories(binary: Binary) -> dict[str, Memory]:
    sizes = {
        "chip": binary.chip_bytes,
        "dram": binary.dram_bytes,
        "weights": binary.machine.weight_buffer_bytes,
    }
    memories = {name: Memory(name, np.zeros(size, np.int8)) for name, size in sizes.items()}
    memories["section"] = Memory("section", np.frombuffer(binary.weights, np.int8))
    return memories


def _area(port: PortRecord) -> Area:
    channels, height, width = port.pixels
    return Area("dram", port.address, port.pitch, height, channels * width)


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
        dram.fill(_area(port), by_row.reshape(port.pixels[1], -1))


def _fetch(port: PortRecord, dram: Memory) -> Array:
    stored = codes(dram.content, _area(port), port.pixels[0])
    steps = stored.astype(np.float32) - np.float32(port.zero)
    return (steps * np.float32(port.scale)).reshape(port.shape)


def _known_finished(starts: Sequence[Start]) -> list[Known]:
    """Return, for each start, how many of each queue have surely finished before it."""
    known: list[Known] = []
    by_queue: dict[Queue, list[Known]] = {queue: [] for queue in Queue}
    for start in starts:
        finished = list(start.waits)
        finished[start.queue] = start.number
        behind = [
            by_queue[queue][count - 1]
            for queue, count in zip(Queue, finished, strict=True)
            if count
        ]
        merged = [max(column) for column in zip(finished, *behind, strict=True)]
        entry = (merged[0], merged[1], merged[2])
        by_queue[start.queue].append(entry)
        known.append(entry)
    return known


# Units that read each element before they write it, so that both may be the same bytes.
_IN_PLACE = frozenset((Opcode.COMBINE, Opcode.LOOK_UP))


def _execute(start: Start, known: Known, memories: dict[str, Memory]) -> None:
    replaced = start.access.writes if start.opcode in _IN_PLACE else ()
    for area in start.access.reads:
        if area.memory == "section":
            continue
        memories[area.memory].check_read(area, known)
        if area not in replaced:
            memories[area.memory].record_read(area, start.queue, start.number)
    for area in start.access.writes:
        memories[area.memory].write(area, start.queue, start.number, known)
    if start.queue is Queue.COMPUTE:
        weights = memories["weights"].content.view(np.uint8)
        compute(start, memories["chip"].content, weights)
        return
    source, destination = start.access.reads[0], start.access.writes[0]
    values = rows(memories[source.memory].content, source)
    rows(memories[destination.memory].content, destination)[...] = values


def _count(binary: Binary, timed: Sequence[Timed], memories: dict[str, Memory]) -> Counts:
    machine = binary.machine
    traffic: Counter[str] = Counter(dict.fromkeys(CAUSES.values(), 0))
    stalls: Counter[str] = Counter()
    for entry in timed:
        if entry.start.queue is not Queue.COMPUTE:
            traffic[CAUSES[entry.start.opcode]] += traffic_bytes(entry.start, machine)
        elif entry.waited_cycles:
            stalls[entry.waited_for] += entry.waited_cycles
    cycles = max((entry.last_cycle for entry in timed), default=0)
    done = sum(macs(entry.start) for entry in timed)
    return Counts(
        cycles=cycles,
        compute_cycles=sum(e.busy_cycles for e in timed if e.start.queue is Queue.COMPUTE),
        macs=done,
        mac_utilisation=done / max(1, cycles * machine.rows * machine.lanes),
        stalls=dict(stalls),
        traffic=dict(traffic),
        chip_bytes=memories["chip"].used_bytes,
        weight_buffer_bytes=memories["weights"].used_bytes,
        dram_bytes=max(memories["dram"].used_bytes, _ports_end(binary)),
        instruction_bytes=len(binary.instructions) * INSTRUCTION_BYTES,
    )


def _ports_end(binary: Binary) -> int:
    return max((p.address + p.pitch * p.pixels[1] for p in binary.ports), default=0)
