"""The compiler from top to bottom: load, rewrite, schedule, plan, lower."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from condense_compiler.compilation import Compilation
from condense_compiler.memory.buffers import Plan
from condense_compiler.memory.order import file_order
from condense_compiler.memory.placement import Placement, place
from condense_compiler.memory.planner import plan
from condense_compiler.memory.scheduling import Schedule, schedule
from condense_compiler.memory.sharing import Sharing, resolve_sharing
from condense_compiler.network import Network, load_network
from condense_compiler.passes import DEFAULT_PASSES, find_pass
from condense_compiler.program import ScheduledProgram, Step
from condense_compiler.report.collect import collect_report
from condense_compiler.report.measure import Given, measure_given
from condense_compiler.report.picture import Picture
from condense_compiler.report.picturing import draw
from condense_compiler.report.stages import Stages, StageWatcher
from condense_compiler.rewriting.contract import Pass
from condense_compiler.rewriting.runner import AppliedPass, run_passes
from condense_compiler.targets import Preparing, Target, Verifying, find_target
from condense_compiler.verification import random_feeds, verify


def compile_model(  # noqa: PLR0913 - the options of a compilation
    model: str | Path | onnx.ModelProto,
    target: str = "reference",
    *,
    dims: Mapping[str, int] | None = None,
    passes: Sequence[str | Pass] | None = None,
    memory_limit_bytes: int | None = None,
    order_seconds: float | None = None,
    verify_outputs: bool = True,
    target_options: Mapping[str, str] | None = None,
    watcher: StageWatcher | None = None,
) -> Compilation:
    """Compile an ONNX network.

    Args:
        model: Path of an ONNX file, or a model in memory.
        target: Name of what to lower to; `condense targets` lists them.
        dims: Sizes of symbolic dimensions, by name.
        passes: Names of passes, or passes, to run instead of the default ones.
        memory_limit_bytes: Size that the arena should fit; `report.fits` tells whether it does.
        order_seconds: Search for a better order of the operators no longer than this; without it
            the effort is fixed.
        verify_outputs: Compare the outputs with ONNX Runtime on the model as given.
        target_options: Options of the target by name, as text.
        watcher: Called with the name of each stage when it starts.

    Raises:
        InputError: The model, or what was asked of it, cannot be used.
    """
    stages = Stages(watcher)
    with stages("load"):
        loaded = _load(model, dims, find_target(target, target_options), memory_limit_bytes)
    planned = _plan(loaded, _pipeline(passes), stages, order_seconds=order_seconds)
    network, memory_limit_bytes = planned.network, loaded.memory_limit_bytes
    with stages("lower"):
        program = as_program(network, planned.sharing, planned.placement)
        lowered = loaded.backend.lower(program)
    verification = None
    if verify_outputs:
        with stages("verify"):
            feeds = random_feeds(network)
            verification = (
                lowered.verify(feeds)
                if isinstance(lowered, Verifying)
                else verify(lowered.run, model, feeds)
            )
    report = collect_report(
        model=model.graph.name if isinstance(model, onnx.ModelProto) else str(model),
        target=target,
        dims=dims or {},
        given=planned.given,
        before=planned.before,
        sharing=planned.sharing,
        scheduled=planned.scheduled,
        placement=planned.placement,
        memory_limit_bytes=memory_limit_bytes,
        applied=planned.applied,
        target_facts=lowered.facts(),
        seconds=stages.seconds,
        verification=verification,
    )
    picture = planned.picture()
    return Compilation(program, planned.sharing, planned.placement, lowered, report, picture)


@dataclass(frozen=True, slots=True)
class Planned:
    """A network, compiled as far as the plan.

    Attributes:
        network: The rewritten network.
        given: What was measured before it was rewritten.
        applied: What each pass did.
        sharing: What it stores, and which feature maps share memory.
        scheduled: The order.
        before: The plan of the network as given.
        placement: What runs when, and where everything lies.
    """

    network: Network
    given: Given
    applied: Sequence[AppliedPass]
    sharing: Sharing
    scheduled: Schedule
    before: Plan
    placement: Placement

    def picture(self) -> Picture:
        """Return the plans before and after, as they are shown."""
        return draw(
            self.given, self.before, self.sharing, self.scheduled, self.placement, self.applied
        )


def plan_model(
    model: str | Path | onnx.ModelProto,
    *,
    dims: Mapping[str, int] | None = None,
    passes: Sequence[str | Pass] | None = None,
    seconds: float | None = None,
    watcher: StageWatcher | None = None,
) -> Planned:
    """Compile an ONNX network as far as the plan.

    Args:
        model: Path of an ONNX file, or a model in memory.
        dims: Sizes of symbolic dimensions, by name.
        passes: Names of passes, or passes, to run instead of the default ones.
        seconds: Search for a smaller arena no longer than this.
        watcher: Called with the name of each stage when it starts.

    Raises:
        InputError: The model, or what was asked of it, cannot be used.
    """
    stages = Stages(watcher)
    with stages("load"):
        loaded = _load(model, dims, find_target("reference"), None)
    return _plan(loaded, _pipeline(passes), stages, plan_seconds=seconds)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A network as the target wants it.

    Attributes:
        network: The network.
        given: What was measured of the network as given.
        backend: The target; one that prepares networks knows what it prepared.
        memory_limit_bytes: What the arena should fit, unless the target sees to that itself.
    """

    network: Network
    given: Given
    backend: Target
    memory_limit_bytes: int | None


def _load(
    model: str | Path | onnx.ModelProto,
    dims: Mapping[str, int] | None,
    backend: Target,
    memory_limit_bytes: int | None,
) -> _Loaded:
    if not isinstance(backend, Preparing):
        network = load_network(model, dims)
        return _Loaded(network, measure_given(network), backend, memory_limit_bytes)
    standard = backend.standard(model)
    given = measure_given(load_network(standard, dims))
    prepared, backend = backend.prepare(model, dims or {}, memory_limit_bytes)
    return _Loaded(load_network(prepared), given, backend, None)


def _plan(
    loaded: _Loaded,
    pipeline: Sequence[Pass],
    stages: Stages,
    *,
    order_seconds: float | None = None,
    plan_seconds: float | None = None,
) -> Planned:
    network, given = loaded.network, loaded.given
    with stages("rewrite"):
        applied = run_passes(network, pipeline)
    with stages("schedule"):
        sharing = resolve_sharing(network, file_order(network))
        scheduled = schedule(sharing, seconds=order_seconds)
    with stages("plan"):
        before = plan(given.buffers)
        placement = place(sharing, scheduled.steps, plan_seconds)
    return Planned(network, given, applied, sharing, scheduled, before, placement)


def as_program(network: Network, sharing: Sharing, placement: Placement) -> ScheduledProgram:
    """Return what a target lowers."""
    steps = tuple(
        Step(sharing.order[operators[0]], *(sharing.order[second] for second in operators[1:]))
        for operators in placement.steps
    )
    return ScheduledProgram(network, steps, placement.offsets, placement.plan.arena_bytes)


def _pipeline(passes: Sequence[str | Pass] | None) -> Sequence[Pass]:
    if passes is None:
        return DEFAULT_PASSES
    return [find_pass(step) if isinstance(step, str) else step for step in passes]
