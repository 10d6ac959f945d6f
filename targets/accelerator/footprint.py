"""What the machine stores and moves: 8-bit codes, in the chip's memory and in DRAM."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from condense_compiler.memory.planner import plan
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.report.cost import node_traffic_bytes
from condense_compiler.report.measure import Given
from condense_compiler.report.memory_figures import (
    Footprint,
    MemoryFigures,
    PlannedFigures,
    Residency,
)
from condense_compiler.targets.accelerator.codegen.in_place import replaceable
from condense_compiler.targets.accelerator.codegen.placement import MemoryPlan
from condense_compiler.targets.accelerator.given_codes import in_codes
from condense_compiler.targets.accelerator.integer.network import Operator
from condense_compiler.targets.accelerator.isa.binary import Binary
from condense_compiler.targets.accelerator.simulator.program import (
    decode_program,
    loads_and_stores,
)
from condense_compiler.targets.accelerator.simulator.timing import traffic_bytes


@dataclass(frozen=True, slots=True)
class Placed:
    """A binary, and where its maps lie."""

    binary: Binary
    memory: MemoryPlan


def footprint(given: Given, placed: Sequence[Placed], hosted: Sequence[gs.Node] = ()) -> Footprint:
    """Return what a network stores and moves.

    Args:
        given: The network as given.
        placed: The binaries, which run one after the other.
        hosted: Nodes that run elsewhere, in floating point.
    """
    maps = [root for each in placed for root in each.memory.maps]
    on_chip = sum(len(each.memory.chip) for each in placed)
    results = [tensor for node in hosted for tensor in node.outputs if not tensor.is_empty()]
    arena_bytes = max((each.memory.chip_bytes for each in placed), default=0)
    bound_bytes = max((each.memory.chip_bound_bytes for each in placed), default=0)
    weights = sum(len(each.binary.weights) for each in placed) + sum(map(_constant_bytes, hosted))
    moved = sum(binary_traffic_bytes(each.binary) for each in placed)
    coded = in_codes(given)
    before = plan(coded.buffers)
    return Footprint(
        before=MemoryFigures(before.arena_bytes, before.lower_bound_bytes, coded.sum_bytes),
        after=PlannedFigures(
            arena_bytes=arena_bytes,
            lower_bound_bytes=bound_bytes,
            sum_bytes=sum(root.size_bytes for root in maps) + sum(map(tensor_bytes, results)),
            optimal=arena_bytes == bound_bytes,
            order_optimal=arena_bytes
            <= max((working_set_bytes(each.memory) for each in placed), default=0),
        ),
        traffic_before=coded.traffic_bytes + weights,
        traffic_after=moved + sum(map(node_traffic_bytes, hosted)),
        residency=Residency(
            on_chip=on_chip,
            in_dram=len(maps) - on_chip + len(results),
            dram_bytes=max((each.memory.dram_bytes for each in placed), default=0),
            traffic_optimal=all(each.memory.optimal for each in placed),
        ),
        in_codes=True,
    )


def binary_traffic_bytes(binary: Binary) -> int:
    """Return the bytes that a run moves to and from DRAM, in whole bursts, weights included."""
    moves = loads_and_stores(decode_program(binary))
    return sum(traffic_bytes(start, binary.machine) for start in moves)


def _constant_bytes(node: gs.Node) -> int:
    return sum(tensor_bytes(t) for t in node.inputs if isinstance(t, gs.Constant))


def working_set_bytes(memory: MemoryPlan) -> int:
    """Return the most that one operator needs on the chip; no order can need less.

    Only where all maps are there: otherwise another choice may need less.
    """
    if len(memory.chip) < len(memory.maps):
        return 0
    return max((_operator_bytes(work.operator) for work in memory.work), default=0)


def _operator_bytes(operator: Operator) -> int:
    """Return the least that the maps of an operator take; its result may replace one of them."""
    roots = {used.root()[0] for used in (*operator.inputs, operator.output)}
    saved = operator.output.size_bytes if replaceable(operator) else 0
    return sum(root.size_bytes for root in roots) - saved
