"""A network as far as the plan: everything that lowering, report and picture are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
from condense_compiler.targets import Target


@dataclass(frozen=True, slots=True)
class Planned:
    """A network, compiled as far as the plan.

    Attributes:
        network: The rewritten network.
        backend: What lowers it; a target that prepares networks knows what it prepared.
        given: What was measured before it was prepared and rewritten.
        prepared: How often each step of the target's own preparation was needed, by name.
        applied: What each pass did.
        sharing: What it stores, and which feature maps share memory.
        scheduled: The order.
        before: The plan of the network as given.
        placement: What runs when, and where everything lies.
    """

    network: Network
    backend: Target
    given: Given
    prepared: Mapping[str, int]
    applied: Sequence[AppliedPass]
    sharing: Sharing
    scheduled: Schedule
    before: Plan
    placement: Placement

    def program(self, memory_limit_bytes: int | None = None) -> ScheduledProgram:
        """Return what a target lowers."""
        return as_program(self.network, self.sharing, self.placement, memory_limit_bytes)

    def picture(self) -> Picture:
        """Return the plans before and after, as they are shown."""
        return draw(
            self.given, self.before, self.sharing, self.scheduled, self.placement, self.applied
        )


def as_program(
    network: Network,
    sharing: Sharing,
    placement: Placement,
    memory_limit_bytes: int | None = None,
) -> ScheduledProgram:
    """Return what a target lowers."""
    steps = tuple(
        Step(sharing.order[operators[0]], *(sharing.order[second] for second in operators[1:]))
        for operators in placement.steps
    )
    arena_bytes = placement.plan.arena_bytes
    return ScheduledProgram(network, steps, placement.offsets, arena_bytes, memory_limit_bytes)
