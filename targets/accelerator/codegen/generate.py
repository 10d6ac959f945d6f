"""From a placed integer network to a binary."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from condense_compiler.targets.accelerator.codegen.emitter import Emitter
from condense_compiler.targets.accelerator.codegen.packing import Block, Packed, pack
from condense_compiler.targets.accelerator.codegen.placement import (
    MemoryPlan,
    lifetimes,
    moved_ports,
)
from condense_compiler.targets.accelerator.codegen.starts import Part, start_of
from condense_compiler.targets.accelerator.codegen.tiling import Tiling, Work
from condense_compiler.targets.accelerator.integer.network import IntegerNetwork, Map, Port
from condense_compiler.targets.accelerator.integer.rows import Rows, Stripe, stripes_of
from condense_compiler.targets.accelerator.isa.binary import Binary
from condense_compiler.targets.accelerator.isa.ports import PortRecord
from condense_compiler.targets.accelerator.isa.records import MapOperand
from condense_compiler.targets.accelerator.machine import Machine

_ENDS = "network"  # what transfers of whole inputs and outputs belong to


@dataclass(frozen=True, slots=True)
class Code:
    """A binary, and what its instructions belong to.

    Attributes:
        binary: The binary.
        names: Name of the operator behind each instruction, in order.
    """

    binary: Binary
    names: tuple[str, ...]


def generate(network: IntegerNetwork, memory: MemoryPlan, machine: Machine) -> Code:
    """Write the instructions of a network."""
    generator = _Generator(memory, machine, Emitter(machine.burst_bytes))
    needed, complete = _port_steps(network, memory)
    for step in range(len(memory.work)):
        for port in needed[step]:
            generator.move_port(port, inwards=True)
        generator.run(step)
        for port in complete[step]:
            generator.move_port(port, inwards=False)
    emitter = generator.emitter
    binary = Binary(
        machine=machine,
        chip_bytes=memory.chip_bytes,
        dram_bytes=memory.dram_bytes,
        weights=bytes(emitter.weights),
        program=tuple(emitter.starts),
        ports=tuple(_records(network, memory)),
    )
    return Code(binary, tuple(emitter.names))


def _port_steps(
    network: IntegerNetwork, memory: MemoryPlan
) -> tuple[dict[int, list[Port]], dict[int, list[Port]]]:
    """Return the inputs that each step is the first to read, and the outputs that it completes.

    Only those that must be moved, because the map that holds them is on the chip.
    """
    needed: dict[int, list[Port]] = defaultdict(list)
    complete: dict[int, list[Port]] = defaultdict(list)
    last = {o.output.root()[0]: step for step, o in enumerate(network.operators)}
    for root, (first, _) in lifetimes(network).items():
        if root in memory.chip and root in last:
            complete[last[root]] += moved_ports(network, root)
        elif root in memory.chip:
            needed[first] += moved_ports(network, root)
    return needed, complete


def _records(network: IntegerNetwork, memory: MemoryPlan) -> Iterator[PortRecord]:
    for ports, is_output in ((network.inputs, False), (network.outputs, True)):
        for name, port in ports.items():
            place = _in_root(port.map, memory.dram[port.map.root()[0]])
            yield PortRecord(
                name=name,
                is_output=is_output,
                address=place.address,
                pitch=place.pitch,
                pixels=port.map.shape,
                zero=port.map.zero,
                scale=port.map.scale,
                shape=port.shape,
            )


def _in_root(source: Map, address: int, rows: Rows | None = None) -> MapOperand:
    """Return the rows of a map whose memory starts at an address."""
    root, channel = source.root()
    channels, height, width = source.shape
    rows = rows or Rows(0, height)
    pitch = root.size_bytes // height
    return MapOperand(
        address=address + rows.first * pitch + channel * width,
        pitch=pitch,
        channels=channels,
        height=rows.count,
        width=width,
    )


def _staged(address: int, channels: int, height: int, width: int) -> MapOperand:
    """Return rows without gaps."""
    return MapOperand(
        address=address, pitch=channels * width, channels=channels, height=height, width=width
    )


@dataclass(slots=True)
class _Generator:
    memory: MemoryPlan
    machine: Machine
    emitter: Emitter
    _half: int = 0
    _loaded: dict[int, int] = field(default_factory=dict)

    def move_port(self, port: Port, *, inwards: bool) -> None:
        """Copy a graph input to the chip, or a graph output from it."""
        root = port.map.root()[0]
        dram = _in_root(port.map, self.memory.dram[root]).area("dram")
        chip = _in_root(port.map, self.memory.chip[root]).area()
        if inwards:
            self.emitter.load(dram, chip, _ENDS)
        else:
            self.emitter.store(chip, dram, _ENDS)

    def run(self, step: int) -> None:
        """Write the instructions of one operator."""
        work, tiling = self.memory.work[step], self.memory.tilings[step]
        _Step(self, work, tiling, self.memory.staging[step]).run()

    def next_half(self) -> int:
        """Return the address of the half of the weight buffer whose turn it is."""
        self._half = 1 - self._half
        return self._half * (self.machine.weight_buffer_bytes // 2)


@dataclass(slots=True)
class _Step:
    """The instructions of one operator."""

    generator: _Generator
    work: Work
    tiling: Tiling
    staging: int
    _sources: dict[int, int] = field(default_factory=dict)
    _loads: int = 0
    _stores: int = 0

    def run(self) -> None:
        stripes = stripes_of(self.work.operator, self.tiling.rows)
        if self.tiling.blocks_first:
            self._run_blocks(stripes)
        else:
            self._run_stripes(stripes)

    def _run_stripes(self, stripes: list[Stripe]) -> None:
        blocks = self.work.blocks
        whole = Block(
            (0, self.work.operator.inputs[0].shape[0]),
            (0, 0),
            (0, self.work.operator.output.shape[0]),
        )
        packed: Packed | None = None
        for stripe in stripes:
            inputs = self._load_inputs(stripe, whole)
            output = self._output(stripe, whole)
            for index, block in enumerate(blocks):
                if packed is None or len(blocks) > 1:
                    packed = self._load_weights(index)
                self._compute(stripe, block, block, inputs, output, packed)
            self._store_output(stripe, whole, output)

    def _run_blocks(self, stripes: list[Stripe]) -> None:
        inputs: list[MapOperand] = []
        for index, block in enumerate(self.work.blocks):
            packed = self._load_weights(index)
            for stripe in stripes:
                known = len(stripes) == 1 and index > 0
                if not known or block.inputs != self.work.blocks[index - 1].inputs:
                    inputs = self._load_inputs(stripe, block)
                output = self._output(stripe, block)
                local = Block((0, block.inputs[1]), block.wide, (0, block.outputs[1]))
                self._compute(stripe, block, local, inputs, output, packed)
                self._store_output(stripe, block, output)

    def _load_weights(self, index: int) -> Packed:
        """Bring what a block needs to the weight buffer; return it with its addresses there."""
        emitter, name = self.generator.emitter, self.work.operator.name
        packed = pack(self.work.operator, self.work.blocks[index])
        if not packed.content:
            return packed
        if index not in self._sources:
            self._sources[index] = emitter.add_weights(packed.content)
        half = self.generator.next_half()
        emitter.load_weights(self._sources[index], half, len(packed.content), name)
        return packed.moved(half)

    def _load_inputs(self, stripe: Stripe, block: Block) -> list[MapOperand]:
        """Bring the rows of every input on the chip; channels are those of the block."""
        slot = self._loads % self.tiling.input_slots
        self._loads += 1
        address = self.staging + slot * sum(self.tiling.input_bytes)
        found = []
        for index, source in enumerate(self.work.operator.inputs):
            rows = stripe.inputs if source.shape[1] > 1 or index == 0 else Rows(0, 1)
            first, count = block.inputs if index == 0 else (0, source.shape[0])
            found.append(self._load_input(source, rows, (first, count), address))
            address += self.tiling.input_bytes[index]
        return found

    def _load_input(
        self, source: Map, rows: Rows, channels: tuple[int, int], address: int
    ) -> MapOperand:
        root, memory = source.root()[0], self.generator.memory
        if root in memory.chip:
            return _in_root(source, memory.chip[root], rows).part(*channels)
        remote = _in_root(source, memory.dram[root], rows).part(*channels)
        place = _staged(address, remote.channels, remote.height, remote.width)
        self.generator.emitter.load(remote.area("dram"), place.area(), self.work.operator.name)
        return place

    def _output(self, stripe: Stripe, block: Block) -> MapOperand:
        output, memory = self.work.operator.output, self.generator.memory
        root = output.root()[0]
        if root in memory.chip:
            return _in_root(output, memory.chip[root], stripe.outputs).part(*block.outputs)
        slot = self._stores % self.tiling.output_slots
        self._stores += 1
        behind = self.staging + self.tiling.input_slots * sum(self.tiling.input_bytes)
        address = behind + slot * self.tiling.output_bytes
        return _staged(address, block.outputs[1], stripe.outputs.count, output.shape[2])

    def _store_output(self, stripe: Stripe, block: Block, operand: MapOperand) -> None:
        output, memory = self.work.operator.output, self.generator.memory
        root = output.root()[0]
        if root in memory.chip:
            return
        remote = _in_root(output, memory.dram[root], stripe.outputs).part(*block.outputs)
        self.generator.emitter.store(operand.area(), remote.area("dram"), self.work.operator.name)

    def _compute(
        self,
        stripe: Stripe,
        block: Block,
        local: Block,
        inputs: list[MapOperand],
        output: MapOperand,
        packed: Packed,
    ) -> None:
        places = (inputs[0].part(*local.inputs), *inputs[1:])
        part = Part(stripe, block, places, output.part(*local.outputs), packed)
        operator = self.work.operator
        self.generator.emitter.start(start_of(operator, part), operator.name)
