"""A network in the operators that the accelerator runs, before these are put in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from condense_compiler.errors import UnsupportedError
from condense_compiler.network import Network
from condense_compiler.program import ScheduledProgram
from condense_compiler.rewriting.contract import PassOutcome, Refusal, Rewrite
from condense_compiler.targets.accelerator.codegen.generate import generate
from condense_compiler.targets.accelerator.codegen.placement import (
    MemoryPlan,
    check_operators_fit,
    place,
)
from condense_compiler.targets.accelerator.fallback import AcceleratedPart, MixedProgram
from condense_compiler.targets.accelerator.integer.lowering import lower_network
from condense_compiler.targets.accelerator.integer.network import (
    Convolution,
    IntegerNetwork,
    Operator,
)
from condense_compiler.targets.accelerator.integer.refusals import blaming_one_of
from condense_compiler.targets.accelerator.integer.rows import sums_shape
from condense_compiler.targets.accelerator.integer.separating import separate_pooling
from condense_compiler.targets.accelerator.lowered import AcceleratorProgram
from condense_compiler.targets.accelerator.machine import Machine
from condense_compiler.targets.accelerator.parts import HostPart, cut
from condense_compiler.targets.accelerator.selected_graph import selected_graph


@dataclass(frozen=True, slots=True)
class Selected:
    """What runs, as parts one after the other: of one part, but for nodes that run elsewhere.

    Attributes:
        network: All operators as one graph, feature maps as signed 8-bit values.
        outcome: Which maps became virtual, and what runs elsewhere, and why.
        rewritten: The network that operators were selected from.
        machine: What they run on.
        parts: The parts.
        fused: The only part, before pooling was separated for a machine that has no unit for it;
            None if there are others.
        operators: What each node of `network` stands for, by identity.
        all_in_dram: No feature map stays on the chip.
    """

    network: Network
    outcome: PassOutcome
    rewritten: Network
    machine: Machine
    parts: tuple[IntegerNetwork | HostPart, ...]
    fused: IntegerNetwork | None
    operators: Mapping[int, Operator]
    all_in_dram: bool

    def lower(self, program: ScheduledProgram) -> AcceleratorProgram | MixedProgram:
        """Place the operators in two memories, in the order of a program; write instructions.

        Raises:
            UnsupportedError: An operator does not fit the machine.
        """
        steps = (self.operators.get(id(step.node)) for step in program.steps)
        ranks = {id(operator): rank for rank, operator in enumerate(steps) if operator is not None}
        if self.fused is not None:
            network = _in_order(self.parts[0], ranks)
            with blaming_one_of(self.rewritten.graph.nodes):
                memory = self._placed(network, program)
            code = generate(network, memory, self.machine)
            ends = self.rewritten.graph
            return AcceleratorProgram(program, ends, network, self.fused, memory, code)
        parts: list[AcceleratedPart | HostPart] = []
        memories: list[MemoryPlan] = []
        for part in self.parts:
            if isinstance(part, HostPart):
                parts.append(part)
                continue
            network = _in_order(part, ranks)
            memories.append(self._placed(network, program))
            code = generate(network, memories[-1], self.machine)
            parts.append(AcceleratedPart(network, code.binary))
        done = (tuple(parts), self.machine, tuple(memories), program.prepared)
        return MixedProgram(self.rewritten, *done)

    def _placed(self, network: IntegerNetwork, program: ScheduledProgram) -> MemoryPlan:
        limit = program.memory_limit_bytes
        return place(network, self.machine, memory_limit_bytes=limit, all_in_dram=self.all_in_dram)


def select(
    network: Network, machine: Machine, *, all_in_dram: bool = False, allow_fallback: bool = False
) -> Selected:
    """Turn the operators of a quantised network into those that the accelerator runs.

    Args:
        network: The network.
        machine: What they run on.
        all_in_dram: No feature map is to stay on the chip.
        allow_fallback: Nodes that have no integer operator run elsewhere.

    Raises:
        UnsupportedError: A node does something that the accelerator does not.
    """
    nodes = network.graph.nodes
    parts: tuple[IntegerNetwork | HostPart, ...]
    try:
        fused = lower_network(network, nodes)
        with blaming_one_of(nodes):
            whole = fused if machine.pooling_unit else separate_pooling(fused)
            if allow_fallback:
                check_operators_fit(whole, machine)
        parts = (whole,)
    except UnsupportedError:
        if not allow_fallback:
            raise
        fused, parts = None, tuple(cut(network, nodes, machine))
    graph, operators = selected_graph(network, parts)
    outcome = _outcome(parts if fused is None else (fused,))
    return Selected(graph, outcome, network, machine, parts, fused, operators, all_in_dram)


def _in_order(part: IntegerNetwork | HostPart, ranks: Mapping[int, int]) -> IntegerNetwork:
    assert isinstance(part, IntegerNetwork)
    ordered = sorted(part.operators, key=lambda operator: ranks[id(operator)])
    return replace(part, operators=tuple(ordered))


def _outcome(parts: Sequence[IntegerNetwork | HostPart]) -> PassOutcome:
    refusals = [Refusal(p.node.name, p.reason) for p in parts if isinstance(p, HostPart)]
    operators = [o for p in parts if isinstance(p, IntegerNetwork) for o in p.operators]
    pooled = [o for o in operators if isinstance(o, Convolution) and o.pooling is not None]
    return PassOutcome(tuple(map(_pooling, pooled)), tuple(refusals))


def _pooling(operator: Convolution) -> Rewrite:
    """Return what the pooling of channels inside a convolution saved: maps of 8 bits."""
    pooling = operator.pooling
    assert pooling is not None
    height, width = sums_shape(operator)
    wide = len(operator.weights) * height * width
    unpooled = wide // pooling.window if operator.spatial is not None else 0
    pattern = f"{pooling.reduction} of {pooling.window}"
    return Rewrite(operator.name, pattern, wide + unpooled)
