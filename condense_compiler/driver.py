"""The compiler from top to bottom: load, rewrite, schedule, plan, lower."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from condense_compiler.compilation import Compilation
from condense_compiler.memory.order import file_order
from condense_compiler.memory.placement import Placement, place
from condense_compiler.memory.planner import plan
from condense_compiler.memory.scheduling import schedule
from condense_compiler.memory.sharing import Sharing, resolve_sharing
from condense_compiler.network import Network, load_network
from condense_compiler.passes import DEFAULT_PASSES, find_pass
from condense_compiler.program import ScheduledProgram, Step
from condense_compiler.report.collect import collect_report
from condense_compiler.report.measure import measure_given
from condense_compiler.report.stages import Stages, StageWatcher
from condense_compiler.rewriting.contract import Pass
from condense_compiler.rewriting.runner import run_passes
from condense_compiler.targets import Preparing, Verifying, find_target
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
    backend = find_target(target, target_options)
    pipeline = _pipeline(passes)
    stages = Stages(watcher)
    with stages("load"):
        standard = backend.standard(model) if isinstance(backend, Preparing) else model
        network = load_network(standard, dims)
        given = measure_given(network)
        if isinstance(backend, Preparing):
            prepared, backend = backend.prepare(standard, dims or {}, memory_limit_bytes)
            network, memory_limit_bytes = load_network(prepared), None
    with stages("rewrite"):
        applied = run_passes(network, pipeline)
    with stages("schedule"):
        sharing = resolve_sharing(network, file_order(network))
        scheduled = schedule(sharing, seconds=order_seconds)
    with stages("plan"):
        before = plan(given.buffers)
        placement = place(sharing, scheduled.steps)
    with stages("lower"):
        program = as_program(network, sharing, placement)
        lowered = backend.lower(program)
    verification = None
    if verify_outputs:
        with stages("verify"):
            verification = (
                lowered.verify(random_feeds(network))
                if isinstance(lowered, Verifying)
                else verify(lowered.run, model, random_feeds(network))
            )
    report = collect_report(
        model=model.graph.name if isinstance(model, onnx.ModelProto) else str(model),
        target=target,
        dims=dims or {},
        given=given,
        before=before,
        sharing=sharing,
        scheduled=scheduled,
        placement=placement,
        memory_limit_bytes=memory_limit_bytes,
        applied=applied,
        target_facts=lowered.facts(),
        seconds=stages.seconds,
        verification=verification,
    )
    return Compilation(program, sharing, placement, lowered, report)


def compile_placement(
    model: str | Path | onnx.ModelProto,
    *,
    dims: Mapping[str, int] | None = None,
    passes: Sequence[str | Pass] | None = None,
    seconds: float | None = None,
) -> tuple[Sharing, Placement]:
    """Compile an ONNX network as far as the plan.

    Raises:
        InputError: The model, or what was asked of it, cannot be used.
    """
    network = load_network(model, dims)
    run_passes(network, _pipeline(passes))
    sharing = resolve_sharing(network, file_order(network))
    return sharing, place(sharing, schedule(sharing).steps, seconds)


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
