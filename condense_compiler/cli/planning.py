"""`condense plan`: placing the feature maps of a network, or any buffers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from condense_compiler.cli.arguments import parse_bytes, parse_dims
from condense_compiler.cli.options import Dims, LimitChanges, Passes, split_names
from condense_compiler.cli.status import BOUND_NOT_MET, DONE
from condense_compiler.driver import plan_model
from condense_compiler.errors import InputError
from condense_compiler.memory.buffers import Buffer, Plan, Verdict
from condense_compiler.memory.buffers_csv import read_buffers, write_plan
from condense_compiler.memory.placement_csv import placement_rows
from condense_compiler.memory.planner import plan
from condense_compiler.report.explain import explain, explanation_text
from condense_compiler.report.words import format_bytes


def plan_command(
    model: Annotated[Path | None, typer.Argument(help="ONNX file.", show_default=False)] = None,
    buffers: Annotated[
        Path | None,
        typer.Option(help="CSV with columns id,lower,upper,size[,alignment].", show_default=False),
    ] = None,
    capacity: Annotated[
        str | None, typer.Option(help="Does it fit this size?", show_default=False)
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Search no longer than this.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="CSV to write.", show_default=False)
    ] = None,
    dim: Dims = [],  # noqa: B006 - typer wants a list, and nothing changes it
    passes: Passes = None,
    _limit: LimitChanges = [],  # noqa: B006 - typer wants a list, and nothing changes it
    explained: Annotated[
        bool, typer.Option("--explain", help="Tell why the peak is where it is (models only).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the explanation as JSON.")] = False,
) -> int:
    """Place buffers in the smallest arena: a network's feature maps, or those of a CSV file.

    Example: condense plan network.onnx -o plan.csv
    Example: condense plan network.onnx --explain
    Example: condense plan --buffers problem.csv --capacity 1MiB --seconds 10
    """
    if (model is None) == (buffers is None):
        raise InputError("give either a model or --buffers FILE")
    if (explained and model is None) or (as_json and not explained):
        raise InputError("--explain is for models, and --json for --explain")
    if seconds is not None and not seconds > 0:
        raise InputError(f"--seconds {seconds} must be positive")
    limit = parse_bytes("--capacity", capacity)
    explanation = None
    if buffers is not None:
        problem = read_buffers(buffers)
        found = plan(problem, capacity=limit, seconds=seconds)
    else:
        planned = plan_model(
            str(model), dims=parse_dims(dim), passes=split_names(passes), seconds=seconds
        )
        placement = planned.placement
        problem, offsets = placement_rows(planned.sharing, placement.steps, placement.offsets)
        found = replace(placement.plan, offsets=offsets)
        explanation = explain(planned.picture().after) if explained else None
    if output is not None:
        write_plan(output, problem, found)
    if as_json:
        typer.echo(json.dumps(explanation.to_dict() if explanation else None, indent=2))
        return DONE if limit is None or found.verdict(limit) is Verdict.FITS else BOUND_NOT_MET
    typer.echo(_summary(problem, found))
    if explanation is not None:
        typer.echo(explanation_text(explanation))
    return _answer(found, limit)


def _summary(problem: list[Buffer], found: Plan) -> str:
    quality = "proved minimal" if found.optimal else f"stopped: {found.ending.value}"
    return (
        f"{len(problem)} buffers, arena {format_bytes(found.arena_bytes)}, "
        f"lower bound {format_bytes(found.lower_bound_bytes)}, {quality}"
    )


def _answer(found: Plan, limit: int | None) -> int:
    if limit is None:
        return DONE
    verdict = found.verdict(limit)
    typer.echo(f"capacity {format_bytes(limit)}: {verdict.value}")
    return DONE if verdict is Verdict.FITS else BOUND_NOT_MET
