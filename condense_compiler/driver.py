"""The compiler from top to bottom: load, rewrite, select, schedule, plan, lower, verify."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import onnx

from condense_compiler.compilation import Compilation
from condense_compiler.limits import Limits, applied
from condense_compiler.memory.arranging import Effort, arrange
from condense_compiler.memory.planner import plan
from condense_compiler.network.loading import load_selected
from condense_compiler.network.selection import Selection, as_selected, selected_with_dims
from condense_compiler.passes import DEFAULT_PASSES, find_pass
from condense_compiler.planned import Planned
from condense_compiler.report.collect import Asked, collect_report
from condense_compiler.report.measure import measure_given
from condense_compiler.report.stages import Stages, StageWatcher
from condense_compiler.retreat import Rewritten, retreat
from condense_compiler.rewriting.contract import Pass
from condense_compiler.rewriting.runner import AppliedPass, run_passes
from condense_compiler.targets import (
    SELECTION,
    Measuring,
    Placing,
    Preparing,
    Selecting,
    Target,
    Verifying,
    find_target,
    passes_for,
)
from condense_compiler.targets.options import as_texts
from condense_compiler.verification import check_effort, random_feeds, verify

Model = str | Path | onnx.ModelProto


def compile_model(  # noqa: PLR0913 - the options of a compilation
    model: Model,
    target: str = "reference",
    *,
    dims: Mapping[str, int] | None = None,
    outputs: Sequence[str] | None = None,
    values: Mapping[str, object] | None = None,
    passes: Sequence[str | Pass] | None = None,
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
        passes: Names of passes, or passes, to run instead of the default ones.
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
    selection = Selection(outputs, values or {}, dims or {})
    options = as_texts(target_options or {})
    asked = Asked(model, target, options, selection, memory_limit_bytes)
    with applied(limits):
        return _compile(asked, passes, Stages(watcher), order_seconds, verify_outputs)


def _compile(
    asked: Asked,
    passes: Sequence[str | Pass] | None,
    stages: Stages,
    order_seconds: float | None,
    verify_outputs: bool,
) -> Compilation:
    backend = find_target(asked.target, asked.target_options)
    pipeline = _pipeline(passes, backend)
    planned = _plan(
        asked.model, backend, asked.selection, pipeline, stages, order_seconds=order_seconds
    )
    if verify_outputs:
        check_effort(planned.rewritten, planned.placement.plan.arena_bytes, "verification")
    with stages("lower"):
        program = planned.program(asked.memory_limit_bytes)
        lowered = planned.lowering.lower(program)
    verification = None
    if verify_outputs:
        with stages("verify"):
            feeds = random_feeds(planned.rewritten)
            verification = (
                lowered.verify(feeds)
                if isinstance(lowered, Verifying)
                else verify(lowered.run, as_selected(asked.model, asked.selection), feeds)
            )
    report = collect_report(asked, planned, lowered, stages.seconds, verification)
    picture = (
        lowered.picture(planned.given) if isinstance(lowered, Measuring) else planned.picture()
    )
    return Compilation(program, planned.sharing, planned.placement, lowered, report, picture)


def plan_model(  # noqa: PLR0913 - the options of a compilation
    model: Model,
    *,
    dims: Mapping[str, int] | None = None,
    outputs: Sequence[str] | None = None,
    values: Mapping[str, object] | None = None,
    passes: Sequence[str | Pass] | None = None,
    seconds: float | None = None,
    watcher: StageWatcher | None = None,
    limits: Limits | None = None,
) -> Planned:
    """Compile an ONNX network as far as the plan.

    Args:
        model: Path of an ONNX file, or a model in memory.
        dims: Sizes of symbolic dimensions, by name.
        outputs: Names of tensors to compute instead of the model's outputs: any inside it.
        values: Values of inputs to fix, by name, such as a flag that selects a branch.
        passes: Names of passes, or passes, to run instead of the default ones.
        seconds: Search for a smaller arena no longer than this.
        watcher: Called with the name of each stage when it starts.
        limits: What is refused as too large; without them those in force, which are the defaults.

    Raises:
        InputError: The model, or what was asked of it, cannot be used.
    """
    backend = find_target("reference")
    pipeline = _pipeline(passes, backend)
    selection = Selection(outputs, values or {}, dims or {})
    with applied(limits):
        return _plan(model, backend, selection, pipeline, Stages(watcher), plan_seconds=seconds)


def _plan(
    model: Model,
    backend: Target,
    selection: Selection,
    pipeline: Sequence[Pass],
    stages: Stages,
    *,
    order_seconds: float | None = None,
    plan_seconds: float | None = None,
) -> Planned:
    with stages("load"):
        network = load_selected(model, selection)
        given, prepared = measure_given(network), None
    with stages("prepare"):
        if isinstance(backend, Preparing):
            made = backend.prepare(*selected_with_dims(model, selection))
            network, prepared = made.network, made.model
    with stages("rewrite"):
        applied = run_passes(network, pipeline)
    with stages("select"):
        chosen = backend.select(network) if isinstance(backend, Selecting) else None
    if chosen is not None:
        applied.append(AppliedPass(SELECTION, chosen.outcome))
    effort = Effort(order_seconds, plan_seconds, order_alone=isinstance(backend, Placing))
    with stages("schedule"):
        running = network if chosen is None else chosen.network
        rewritten = Rewritten(running, applied, arrange(running, effort))
    with stages("plan"):
        before = plan(given.buffers)
        if rewritten.arena_bytes > before.arena_bytes and not isinstance(backend, Preparing):
            load = partial(load_selected, model, selection)
            rewritten = retreat(rewritten, load, pipeline, effort, before.arena_bytes)
    found = rewritten.arrangement
    return Planned(
        rewritten.network,
        rewritten.network if chosen is None else network,
        backend if chosen is None else chosen,
        prepared,
        given,
        rewritten.applied,
        found.sharing,
        found.scheduled,
        before,
        found.placement,
    )


def _pipeline(passes: Sequence[str | Pass] | None, backend: Target) -> Sequence[Pass]:
    if passes is None:
        return passes_for(backend, DEFAULT_PASSES)
    return [find_pass(step) if isinstance(step, str) else step for step in passes]
