"""Bringing together what the stages of a compilation found."""

from collections.abc import Mapping, Sequence

import onnx_graphsurgeon as gs

from condense_compiler.network.interface import quantised_values
from condense_compiler.planned import Planned
from condense_compiler.report.cost import total_macs, total_traffic_bytes
from condense_compiler.report.floating import float_maps
from condense_compiler.report.memory_figures import Footprint, MemoryFigures, PlannedFigures
from condense_compiler.report.report import (
    CopiedPart,
    FusedLayer,
    RefusedLayer,
    Report,
    Verification,
)
from condense_compiler.request import Request
from condense_compiler.rewriting.runner import AppliedPass
from condense_compiler.targets import Lowered, Measuring


def collect_report(
    request: Request,
    planned: Planned,
    lowered: Lowered,
    seconds: Mapping[str, float],
    verification: Verification | None,
) -> Report:
    """Return the report of a compilation."""
    sharing, placement = planned.sharing, planned.placement
    measured = lowered.footprint(planned.given) if isinstance(lowered, Measuring) else None
    in_arena = measured is None
    return Report(
        request=request.recorded(),
        macs=total_macs(_running(planned)),
        macs_before=planned.given.macs,
        footprint=measured or _footprint(planned),
        fused=_fused(planned.applied, in_codes=measured is not None and measured.in_codes),
        refused=_refused(planned.applied),
        overwritten=len(placement.overwritten) if in_arena else 0,
        accumulated=sum(len(step) > 1 for step in placement.steps) if in_arena else 0,
        viewed=len(sharing.idle),
        copied=[CopiedPart(part.node, part.tensor, part.reason) for part in sharing.copies],
        quantised_values=quantised_values(planned.network.header),
        in_floating_point=float_maps(planned.network.graph, _running(planned)) if in_arena else (),
        prepared=dict(planned.prepared),
        rewrites=_rewrites(planned.applied),
        target_facts=lowered.facts(),
        seconds=dict(seconds),
        verification=verification,
    )


def _running(planned: Planned) -> tuple[gs.Node, ...]:
    """Return the operators that run, in their order."""
    steps = planned.placement.steps
    return tuple(planned.sharing.order[number] for step in steps for number in step)


def _footprint(planned: Planned) -> Footprint:
    """Return what is stored in the planned arena, and what operators read and write there."""
    given, before = planned.given, planned.before
    return Footprint(
        before=MemoryFigures(before.arena_bytes, before.lower_bound_bytes, given.sum_bytes),
        after=_after(planned),
        traffic_before=given.traffic_bytes,
        traffic_after=total_traffic_bytes(_running(planned)),
    )


def _after(planned: Planned) -> PlannedFigures:
    placement = planned.placement
    accumulated = {step[0] for step in placement.steps if len(step) > 1}
    stored = [w.size for w in planned.sharing.writings if w.writer not in accumulated]
    bound = placement.plan.lower_bound_bytes
    return PlannedFigures(
        arena_bytes=placement.plan.arena_bytes,
        lower_bound_bytes=bound,
        sum_bytes=sum(stored),
        optimal=placement.plan.optimal,
        order_optimal=planned.scheduled.proves(placement.plan.arena_bytes),
    )


def _fused(applied: Sequence[AppliedPass], *, in_codes: bool) -> list[FusedLayer]:
    """Return what became virtual; quantised maps take a quarter of what float32 takes."""
    bytes_of_one = 4 if in_codes else 1
    return [
        FusedLayer(rewrite.node, step.name, rewrite.pattern, rewrite.virtual_bytes // bytes_of_one)
        for step in applied
        for rewrite in step.outcome.rewrites
        if rewrite.virtual_bytes
    ]


def _rewrites(applied: Sequence[AppliedPass]) -> dict[str, int]:
    """Return how much each pass did; what runs twice is counted together."""
    counts: dict[str, int] = {}
    for step in applied:
        counts[step.text] = counts.get(step.text, 0) + len(step.outcome.rewrites)
    return counts


def _refused(applied: Sequence[AppliedPass]) -> list[RefusedLayer]:
    return [
        RefusedLayer(refusal.node, step.name, refusal.reason)
        for step in applied
        for refusal in step.outcome.refusals
    ]
