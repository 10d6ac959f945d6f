"""The compiler from top to bottom: load, prepare, rewrite, schedule, plan, lower, verify."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from condense_compiler.compilation import Compilation
from condense_compiler.memory.order import file_order
from condense_compiler.memory.placement import place
from condense_compiler.memory.planner import plan
from condense_compiler.memory.scheduling import schedule
from condense_compiler.memory.sharing import resolve_sharing
from condense_compiler.network import load_network
from condense_compiler.passes import DEFAULT_PASSES, find_pass
from condense_compiler.planned import Planned
from condense_compiler.report.collect import Asked, collect_report
from condense_compiler.report.measure import measure_given
from condense_compiler.report.stages import Stages, StageWatcher
from condense_compiler.rewriting.contract import Pass
from condense_compiler.rewriting.runner import run_passes
from condense_compiler.targets import Measuring, Preparing, Target, Verifying, find_target
from condense_compiler.targets.options import as_texts
from condense_compiler.verification import random_feeds, verify

Model = str | Path | onnx.ModelProto


def compile_model(  # noqa: PLR0913 - the options of a compilation
    model: Model,
    target: str = "reference",
    *,
    dims: Mapping[str, int] | None = None,
    passes: Sequence[str | Pass] | None = None,
    memory_limit_bytes: int | None = None,
    order_seconds: float | None = None,
    verify_outputs: bool = True,
    target_options: Mapping[str, object] | None = None,
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
        target_options: Options of the target by name: text, numbers, switches, paths.
        watcher: Called with the name of each stage when it starts.

    Raises:
        InputError: The model, or what was asked of it, cannot be used.
    """
    stages = Stages(watcher)
    options = as_texts(target_options or {})
    backend = find_target(target, options)
    planned = _plan(
        model, backend, dims or {}, _pipeline(passes), stages, order_seconds=order_seconds
    )
    with stages("lower"):
        program = planned.program(memory_limit_bytes)
        lowered = planned.backend.lower(program)
    verification = None
    if verify_outputs:
        with stages("verify"):
            feeds = random_feeds(planned.network)
            verification = (
                lowered.verify(feeds)
                if isinstance(lowered, Verifying)
                else verify(lowered.run, model, feeds)
            )
    asked = Asked(model, target, options, dims or {}, memory_limit_bytes)
    report = collect_report(asked, planned, lowered, stages.seconds, verification)
    picture = (
        lowered.picture(planned.given) if isinstance(lowered, Measuring) else planned.picture()
    )
    return Compilation(program, planned.sharing, planned.placement, lowered, report, picture)


def plan_model(
    model: Model,
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
    backend, pipeline = find_target("reference"), _pipeline(passes)
    return _plan(model, backend, dims or {}, pipeline, Stages(watcher), plan_seconds=seconds)


def _plan(
    model: Model,
    backend: Target,
    dims: Mapping[str, int],
    pipeline: Sequence[Pass],
    stages: Stages,
    *,
    order_seconds: float | None = None,
    plan_seconds: float | None = None,
) -> Planned:
    with stages("load"):
        network = load_network(model, dims)
        given = measure_given(network)
    with stages("prepare"):
        if isinstance(backend, Preparing):
            network, backend = backend.prepare(model, dims)
    with stages("rewrite"):
        applied = run_passes(network, pipeline)
    with stages("schedule"):
        sharing = resolve_sharing(network, file_order(network))
        scheduled = schedule(sharing, seconds=order_seconds)
    with stages("plan"):
        before = plan(given.buffers)
        placement = place(sharing, scheduled.steps, plan_seconds)
    return Planned(network, backend, given, applied, sharing, scheduled, before, placement)


def _pipeline(passes: Sequence[str | Pass] | None) -> Sequence[Pass]:
    if passes is None:
        return DEFAULT_PASSES
    return [find_pass(step) if isinstance(step, str) else step for step in passes]
