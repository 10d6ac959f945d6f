"""The compiler from top to bottom: load, prepare, rewrite, schedule, plan, lower, verify."""

from collections.abc import Mapping, Sequence
from functools import partial

from condense_compiler.compilation import Compilation
from condense_compiler.limits import Limits, applied
from condense_compiler.memory.arranging import Effort, arrange
from condense_compiler.memory.planner import plan
from condense_compiler.network.interface import GIVEN
from condense_compiler.network.loading import load_selected
from condense_compiler.network.selection import Model, as_selected, selected_with_dims
from condense_compiler.passes import DEFAULT_PASSES
from condense_compiler.planned import Planned
from condense_compiler.report.collect import collect_report
from condense_compiler.report.measure import measure_given
from condense_compiler.report.stages import Stages, StageWatcher
from condense_compiler.request import Request
from condense_compiler.retreat import Rewritten, retreat
from condense_compiler.rewriting.contract import Pass
from condense_compiler.rewriting.runner import run_passes
from condense_compiler.targets import (
    Measuring,
    Placing,
    Prepared,
    Preparing,
    Selecting,
    Target,
    Verifying,
    find_target,
)
from condense_compiler.verification import check_effort, random_feeds, verify


def compile_model(  # noqa: PLR0913 - the options of a compilation
    model: Model,
    target: str = "reference",
    *,
    dims: Mapping[str, int] | None = None,
    outputs: Sequence[str] | None = None,
    values: Mapping[str, object] | None = None,
    io: str = GIVEN,
    passes: str | Sequence[str | Pass] | None = None,
    memory_limit_bytes: int | None = None,
    order_seconds: float | None = None,
    verify_outputs: bool = True,
    target_options: Mapping[str, object] | None = None,
    watcher: StageWatcher | None = None,
    limits: Limits | None = None,
) -> Compilation:
    """Compile an ONNX network.

    Args:
        model: Path of an ONNX file, or a model in memory.
        target: Name of what to lower to; `condense targets` lists them.
        dims: Sizes of symbolic dimensions, by name.
        outputs: Names of tensors to compute instead of the model's outputs: any inside it.
        values: Values of inputs to fix, by name, such as a flag that selects a branch.
        io: `quantised` makes inputs and outputs 8-bit where the model quantises them.
        passes: Passes to run instead of the default ones: as text such as
            `clean_up,my_pass(size=4)`, or a list of such texts and of passes.
        memory_limit_bytes: Size that the arena should fit; `report.fits` tells whether it does.
        order_seconds: Search for a better order of the operators no longer than this; without it
            the effort is fixed.
        verify_outputs: Compare the outputs with ONNX Runtime on the model as given.
        target_options: Options of the target by name: text, numbers, switches, paths.
        watcher: Called with the name of each stage when it starts.
        limits: What is refused as too large; without them those in force, which are the defaults.

    Raises:
        InputError: The model, or what was asked of it, cannot be used.
    """
    request = Request.of(
        model,
        target,
        dims=dims,
        outputs=outputs,
        values=values,
        io=io,
        passes=passes,
        memory_limit_bytes=memory_limit_bytes,
        order_seconds=order_seconds,
        verify_outputs=verify_outputs,
        target_options=target_options,
        limits=limits,
    )
    return compile_request(request, watcher)


def compile_request(request: Request, watcher: StageWatcher | None = None) -> Compilation:
    """Compile what a request asks for; a changed model is warned of.

    Args:
        request: The request.
        watcher: Called with the name of each stage when it starts.

    Raises:
        InputError: The model, or what was asked of it, cannot be used.
    """
    request.warn_of_change()
    with applied(request.limits):
        return _compile(request, Stages(watcher))


def _compile(request: Request, stages: Stages) -> Compilation:
    planned = _plan(request, stages)
    if request.verify:
        check_effort(planned.network, planned.placement.plan.arena_bytes, "verification")
    with stages("lower"):
        program = planned.program(request.memory_limit_bytes)
        lowered = planned.backend.lower(program)
    verification = None
    if request.verify:
        with stages("verify"):
            feeds = random_feeds(planned.network)
            verification = (
                lowered.verify(feeds)
                if isinstance(lowered, Verifying)
                else verify(lowered.run, as_selected(request.source, request.selection), feeds)
            )
    report = collect_report(request, planned, lowered, stages.seconds, verification)
    picture = (
        lowered.picture(planned.given) if isinstance(lowered, Measuring) else planned.picture()
    )
    return Compilation(program, planned.sharing, planned.placement, lowered, report, picture)


def plan_request(
    request: Request, *, seconds: float | None = None, watcher: StageWatcher | None = None
) -> Planned:
    """Compile what a request asks for as far as the plan.

    Args:
        request: The request.
        seconds: Search for a smaller arena no longer than this.
        watcher: Called with the name of each stage when it starts.

    Raises:
        InputError: The model, or what was asked of it, cannot be used.
    """
    with applied(request.limits):
        return _plan(request, Stages(watcher), plan_seconds=seconds)


def _plan(request: Request, stages: Stages, *, plan_seconds: float | None = None) -> Planned:
    backend = find_target(request.target, request.target_options)
    pipeline = _pipeline(request.passes, backend)
    model, selection = request.source, request.selection
    with stages("load"):
        network = load_selected(model, selection)
        given = measure_given(network)
    with stages("prepare"):
        prepared = Prepared(network, backend)
        if isinstance(backend, Preparing):
            prepared = backend.prepare(*selected_with_dims(model, selection), pipeline)
        network, backend = prepared.network, prepared.target
    with stages("rewrite"):
        applied = [*prepared.applied, *run_passes(network, pipeline)]
    effort = Effort(request.order_seconds, plan_seconds, order_alone=isinstance(backend, Placing))
    with stages("schedule"):
        rewritten = Rewritten(network, applied, arrange(network, effort))
    with stages("plan"):
        before = plan(given.buffers)
        if rewritten.arena_bytes > before.arena_bytes and not isinstance(backend, Preparing):
            load = partial(load_selected, model, selection)
            rewritten = retreat(rewritten, load, pipeline, effort, before.arena_bytes)
    found = rewritten.arrangement
    return Planned(
        rewritten.network,
        backend,
        given,
        prepared.steps,
        rewritten.applied,
        found.sharing,
        found.scheduled,
        before,
        found.placement,
    )


def _pipeline(passes: Sequence[Pass] | None, backend: Target) -> Sequence[Pass]:
    if passes is not None:
        return passes
    without = backend.without_passes if isinstance(backend, Selecting) else frozenset()
    return [step for step in DEFAULT_PASSES if step.name not in without]
