"""Bringing together what the stages of a compilation found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs

from condense_compiler.memory.sharing import Sharing
from condense_compiler.network.selection import Selection
from condense_compiler.planned import Planned
from condense_compiler.report.cost import total_macs, total_traffic_bytes
from condense_compiler.report.footprint import Footprint, PlannedStorage, Storage
from condense_compiler.report.report import (
    CopiedPart,
    FusedLayer,
    RefusedLayer,
    Report,
    Verification,
)
from condense_compiler.rewriting.runner import AppliedPass
from condense_compiler.targets import Lowered, Measuring


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for.

    Attributes:
        model: The model as given: a path, or a model in memory.
        target: Name of the target.
        target_options: Its options, as text.
        selection: Dimensions, outputs and fixed inputs.
        memory_limit_bytes: What the arena should fit, if anything.
    """

    model: str | Path | onnx.ModelProto
    target: str
    target_options: Mapping[str, str]
    selection: Selection
    memory_limit_bytes: int | None

    @property
    def name(self) -> str:
        """The path of the model as given, or the name of a model in memory."""
        return self.model.graph.name if isinstance(self.model, onnx.ModelProto) else str(self.model)

    @property
    def path(self) -> str | None:
        """The absolute path of the model, if it has one."""
        if isinstance(self.model, onnx.ModelProto):
            return None
        return str(Path(self.model).resolve())


def collect_report(
    asked: Asked,
    planned: Planned,
    lowered: Lowered,
    seconds: Mapping[str, float],
    verification: Verification | None,
) -> Report:
    """Return the report of a compilation."""
    sharing, placement = planned.sharing, planned.placement
    measured = lowered.footprint(planned.given) if isinstance(lowered, Measuring) else None
    footprint = measured or _footprint(planned)
    limit = asked.memory_limit_bytes
    return Report(
        model=asked.name,
        model_path=asked.path,
        target=asked.target,
        target_options=dict(asked.target_options),
        dims={name: int(size) for name, size in asked.selection.dims.items()},
        outputs=asked.selection.outputs,
        values=asked.selection.values_as_text(),
        macs=footprint.macs,
        macs_before=planned.given.macs,
        footprint=footprint,
        memory_limit_bytes=None if limit is None else int(limit),
        fused=_fused(planned.applied),
        refused=_refused(planned.applied),
        overwritten=footprint.overwritten,
        accumulated=sum(len(s) > 1 for s in placement.steps) if measured is None else 0,
        viewed=len(sharing.idle),
        copied=_copied(sharing) if measured is None else [],
        rewrites={step.name: len(step.outcome.rewrites) for step in planned.applied},
        target_facts=lowered.facts(),
        seconds=dict(seconds),
        verification=verification,
    )


def _copied(sharing: Sharing) -> list[CopiedPart]:
    return [CopiedPart(part.node, part.tensor, part.reason) for part in sharing.copies]


def _running(planned: Planned) -> tuple[gs.Node, ...]:
    """Return the operators that run, in their order."""
    steps = planned.placement.steps
    return tuple(planned.sharing.order[number] for step in steps for number in step)


def _footprint(planned: Planned) -> Footprint:
    """Return what is stored in the planned arena, and what operators read and write there."""
    given, before = planned.given, planned.before
    return Footprint(
        macs=total_macs(_running(planned)),
        overwritten=len(planned.placement.overwritten),
        before=Storage(before.arena_bytes, before.lower_bound_bytes, given.sum_bytes),
        after=_after(planned),
        traffic_before=given.traffic_bytes,
        traffic_after=total_traffic_bytes(_running(planned)),
    )


def _after(planned: Planned) -> PlannedStorage:
    placement = planned.placement
    accumulated = {step[0] for step in placement.steps if len(step) > 1}
    stored = [w.size for w in planned.sharing.writings if w.writer not in accumulated]
    bound = placement.plan.lower_bound_bytes
    return PlannedStorage(
        arena_bytes=placement.plan.arena_bytes,
        lower_bound_bytes=bound,
        sum_bytes=sum(stored),
        optimal=placement.plan.optimal,
        order_optimal=planned.scheduled.proves(placement.plan.arena_bytes),
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
