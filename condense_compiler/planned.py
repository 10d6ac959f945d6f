"""A network as far as the plan: everything that lowering, report and picture are made from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from condense_compiler.memory.buffers import Plan
from condense_compiler.memory.placement import Placement
from condense_compiler.memory.scheduling import Schedule
from condense_compiler.memory.sharing import Sharing
from condense_compiler.network import Network
from condense_compiler.program import ScheduledProgram, Step
from condense_compiler.report.measure import Given
from condense_compiler.report.picture import Picture
from condense_compiler.report.picturing import draw
from condense_compiler.rewriting.runner import AppliedPass
from condense_compiler.targets import Lowering, Prepared


@dataclass(frozen=True, slots=True)
class Planned:
    """A network, compiled as far as the plan.

    Attributes:
        network: The network in the operators that run.
        rewritten: The rewritten network; the same, unless the target runs operators of its own.
        lowering: What lowers it.
        prepared: What the target made of the network before it was rewritten.
        given: What was measured before it was prepared and rewritten.
        applied: What each pass did.
        sharing: What it stores, and which feature maps share memory.
        scheduled: The order.
        before: The plan of the network as given.
        placement: What runs when, and where everything lies.
    """

    network: Network
    rewritten: Network
    lowering: Lowering
    prepared: Prepared
    given: Given
    applied: Sequence[AppliedPass]
    sharing: Sharing
    scheduled: Schedule
    before: Plan
    placement: Placement

    def program(self, memory_limit_bytes: int | None = None) -> ScheduledProgram:
        """Return what a target lowers."""
        program = as_program(self.network, self.sharing, self.placement)
        return replace(program, memory_limit_bytes=memory_limit_bytes, prepared=self.prepared.model)

    def picture(self) -> Picture:
        """Return the plans before and after, as they are shown."""
        return draw(
            self.given, self.before, self.sharing, self.scheduled, self.placement, self.applied
        )


def as_program(network: Network, sharing: Sharing, placement: Placement) -> ScheduledProgram:
    """Return what a target lowers."""
    steps = tuple(
        Step(sharing.order[operators[0]], *(sharing.order[second] for second in operators[1:]))
        for operators in placement.steps
    )
    arena_bytes = placement.plan.arena_bytes
    return ScheduledProgram(network, steps, placement.offsets, arena_bytes)
