"""Bringing together what the stages of a compilation found."""

from collections.abc import Mapping, Sequence

from condense_compiler.memory.buffers import Plan
from condense_compiler.memory.placement import Placement
from condense_compiler.memory.scheduling import Schedule
from condense_compiler.memory.sharing import Sharing
from condense_compiler.report.cost import total_macs, total_traffic_bytes
from condense_compiler.report.measure import Given
from condense_compiler.report.report import (
    CopiedPart,
    FusedLayer,
    PlannedStorage,
    RefusedLayer,
    Report,
    Storage,
    Verification,
)
from condense_compiler.rewriting.runner import AppliedPass


def collect_report(  # noqa: PLR0913 - everything that a report is made of
    *,
    model: str,
    target: str,
    dims: Mapping[str, int],
    given: Given,
    before: Plan,
    sharing: Sharing,
    scheduled: Schedule,
    placement: Placement,
    memory_limit_bytes: int | None,
    applied: Sequence[AppliedPass],
    target_facts: Mapping[str, object],
    seconds: Mapping[str, float],
    verification: Verification | None,
) -> Report:
    """Return the report of a compilation."""
    running = tuple(sharing.order[number] for step in placement.steps for number in step)
    return Report(
        model=model,
        target=target,
        dims=dict(dims),
        macs=total_macs(running),
        macs_before=given.macs,
        before=Storage(before.arena_bytes, before.lower_bound_bytes, given.sum_bytes),
        after=_after(sharing, scheduled, placement),
        traffic_before=given.traffic_bytes,
        traffic_after=total_traffic_bytes(running),
        memory_limit_bytes=memory_limit_bytes,
        fused=_fused(applied),
        refused=_refused(applied),
        overwritten=len(placement.overwritten),
        accumulated=sum(len(step) > 1 for step in placement.steps),
        viewed=len(sharing.idle),
        copied=[CopiedPart(part.node, part.tensor, part.reason) for part in sharing.copies],
        rewrites={step.name: len(step.outcome.rewrites) for step in applied},
        target_facts=target_facts,
        seconds=dict(seconds),
        verification=verification,
    )


def _after(sharing: Sharing, scheduled: Schedule, placement: Placement) -> PlannedStorage:
    accumulated = {step[0] for step in placement.steps if len(step) > 1}
    stored = [w.size for w in sharing.writings if w.writer not in accumulated]
    bound = placement.plan.lower_bound_bytes
    return PlannedStorage(
        arena_bytes=placement.plan.arena_bytes,
        lower_bound_bytes=bound,
        sum_bytes=sum(stored),
        optimal=placement.plan.optimal,
        order_optimal=scheduled.proves(placement.plan.arena_bytes),
    )


def _fused(applied: Sequence[AppliedPass]) -> list[FusedLayer]:
    return [
        FusedLayer(rewrite.node, step.name, rewrite.pattern, rewrite.virtual_bytes)
        for step in applied
        for rewrite in step.outcome.rewrites
        if rewrite.virtual_bytes
    ]


def _refused(applied: Sequence[AppliedPass]) -> list[RefusedLayer]:
    return [
        RefusedLayer(refusal.node, step.name, refusal.reason)
        for step in applied
        for refusal in step.outcome.refusals
    ]
