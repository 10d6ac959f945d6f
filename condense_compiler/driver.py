"""The compiler from top to bottom: load, rewrite, schedule, plan, lower."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from condense_compiler.compilation import Compilation
from condense_compiler.memory.buffers import Buffer, Plan
from condense_compiler.memory.liveness import feature_map_buffers, largest_working_set
from condense_compiler.memory.order import Order, file_order
from condense_compiler.memory.planner import plan
from condense_compiler.network import Network, load_network
from condense_compiler.passes import DEFAULT_PASSES, find_pass
from condense_compiler.program import ScheduledProgram
from condense_compiler.report.cost import total_macs, total_traffic_bytes
from condense_compiler.report.report import (
    FusedLayer,
    PlannedStorage,
    RefusedLayer,
    Report,
    Storage,
)
from condense_compiler.report.stages import Stages, StageWatcher
from condense_compiler.rewriting.contract import Pass
from condense_compiler.rewriting.runner import AppliedPass, run_passes
from condense_compiler.targets import find_target
from condense_compiler.verification import random_feeds, verify


def compile_model(
    model: str | Path | onnx.ModelProto,
    target: str = "reference",
    *,
    dims: Mapping[str, int] | None = None,
    passes: Sequence[str | Pass] | None = None,
    memory_limit_bytes: int | None = None,
    verify_outputs: bool = True,
    watcher: StageWatcher | None = None,
) -> Compilation:
    """Compile an ONNX network.

    Args:
        model: Path of an ONNX file, or a model in memory.
        target: Name of what to lower to; `condense targets` lists them.
        dims: Sizes of symbolic dimensions, by name.
        passes: Names of passes, or passes, to run instead of the default ones.
        memory_limit_bytes: Size that the arena should fit; `report.fits` tells whether it does.
        verify_outputs: Compare the outputs with ONNX Runtime on the model as given.
        watcher: Called with the name of each stage when it starts.

    Raises:
        InputError: The model, or what was asked of it, cannot be used.
    """
    backend = find_target(target)
    pipeline = _pipeline(passes)
    stages = Stages(watcher)
    with stages("load"):
        network = load_network(model, dims)
        given = _measure(network, file_order(network))
    with stages("rewrite"):
        applied = run_passes(network, pipeline)
    with stages("schedule"):
        order = file_order(network)
    with stages("plan"):
        before = plan(given.buffers)
        compiled = _measure(network, order)
        after = plan(compiled.buffers)
    with stages("lower"):
        program = ScheduledProgram(network, order, after.offsets, after.arena_bytes)
        lowered = backend.lower(program)
    report = Report(
        model=model.graph.name if isinstance(model, onnx.ModelProto) else str(model),
        target=target,
        dims=dict(dims or {}),
        macs=compiled.macs,
        macs_before=given.macs,
        before=Storage(before.arena_bytes, before.lower_bound_bytes, given.sum_bytes),
        after=_planned_storage(after, compiled, order),
        traffic_before=given.traffic_bytes,
        traffic_after=compiled.traffic_bytes,
        memory_limit_bytes=memory_limit_bytes,
        fused=_fused(applied),
        refused=_refused(applied),
        rewrites={step.name: len(step.outcome.rewrites) for step in applied},
        target_facts=lowered.facts(),
    )
    verification = None
    if verify_outputs:
        with stages("verify"):
            verification = verify(lowered.run, model, random_feeds(network))
    report = report.completed(stages.seconds, verification)
    return Compilation(program, tuple(compiled.buffers), after, lowered, report)


def compile_buffers(
    model: str | Path | onnx.ModelProto,
    *,
    dims: Mapping[str, int] | None = None,
    passes: Sequence[str | Pass] | None = None,
) -> list[Buffer]:
    """Return the buffers that a compiled network's plan would place.

    Raises:
        InputError: The model, or what was asked of it, cannot be used.
    """
    network = load_network(model, dims)
    run_passes(network, _pipeline(passes))
    return feature_map_buffers(network, file_order(network))


def _pipeline(passes: Sequence[str | Pass] | None) -> Sequence[Pass]:
    return DEFAULT_PASSES if passes is None else [_as_pass(step) for step in passes]


def _as_pass(step: str | Pass) -> Pass:
    return find_pass(step) if isinstance(step, str) else step


@dataclass(frozen=True, slots=True)
class _Measures:
    """What one state of the network needs."""

    buffers: list[Buffer]
    macs: int
    traffic_bytes: int

    @property
    def sum_bytes(self) -> int:
        return sum(buffer.size for buffer in self.buffers)


def _measure(network: Network, order: Order) -> _Measures:
    buffers = feature_map_buffers(network, order)
    return _Measures(buffers, total_macs(order), total_traffic_bytes(order))


def _planned_storage(planned: Plan, measures: _Measures, order: Order) -> PlannedStorage:
    return PlannedStorage(
        arena_bytes=planned.arena_bytes,
        lower_bound_bytes=planned.lower_bound_bytes,
        sum_bytes=measures.sum_bytes,
        optimal=planned.optimal,
        order_optimal=planned.arena_bytes == largest_working_set(order, measures.buffers),
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
