"""`condense plan`: placing the feature maps of a network, or any buffers."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from condense_compiler.cli.arguments import parse_bytes, parse_dims, parse_values
from condense_compiler.cli.options import (
    Dims,
    Io,
    LimitChanges,
    OptionalModel,
    Outputs,
    Passes,
    Values,
    split_names,
)
from condense_compiler.cli.status import BOUND_NOT_MET, DONE
from condense_compiler.driver import plan_request
from condense_compiler.errors import InputError
from condense_compiler.files import check_file, is_standard_output
from condense_compiler.memory.buffers import Buffer, Plan, Verdict
from condense_compiler.memory.buffers_csv import read_buffers, write_plan
from condense_compiler.memory.placement_csv import placement_rows
from condense_compiler.memory.planner import plan
from condense_compiler.network.external_data import model_files
from condense_compiler.network.interface import GIVEN
from condense_compiler.report.explain import Explanation, explain, explanation_text
from condense_compiler.report.words import format_bytes
from condense_compiler.request import Request

Buffers = Annotated[
    Path | None,
    typer.Option(help="CSV with columns id,lower,upper,size[,alignment].", show_default=False),
]
Capacity = Annotated[str | None, typer.Option(help="Does it fit this size?", show_default=False)]
Seconds = Annotated[
    float | None, typer.Option(help="Search no longer than this.", show_default=False)
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="CSV to write; - is standard output.", show_default=False),
]


def plan_command(
    model: OptionalModel = None,
    buffers: Buffers = None,
    capacity: Capacity = None,
    seconds: Seconds = None,
    output: Output = None,
    dim: Dims = [],  # noqa: B006 - typer wants a list, and nothing changes it
    outputs: Outputs = None,
    fixed: Values = [],  # noqa: B006 - typer wants a list, and nothing changes it
    io: Io = None,
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
    kept = _kept(model, buffers, output)
    explanation = None
    if buffers is not None:
        problem = read_buffers(buffers)
        found = plan(problem, capacity=limit, seconds=seconds)
    else:
        request = Request.of(
            str(model),
            dims=parse_dims(dim),
            outputs=split_names(outputs),
            values=parse_values(fixed),
            io=io or GIVEN,
            passes=passes,
        )
        planned = plan_request(request, seconds=seconds)
        placement = planned.placement
        problem, offsets = placement_rows(planned.sharing, placement.steps, placement.offsets)
        found = replace(placement.plan, offsets=offsets)
        explanation = explain(planned.picture().after) if explained else None
    if output is not None:
        write_plan(output, problem, found, kept)
    to_error = is_standard_output(output)
    for text in _texts(problem, found, limit, explanation, as_json=as_json):
        typer.echo(text, err=to_error)
    return DONE if limit is None or found.verdict(limit) is Verdict.FITS else BOUND_NOT_MET


def _kept(model: Path | None, buffers: Path | None, output: Path | None) -> tuple[Path, ...]:
    """Return what is read, once it is sure that the output can be written beside it."""
    if output is None:
        return ()
    check_file(output)
    kept: tuple[Path, ...] = () if buffers is None else (buffers,)
    if model is not None and output.exists():
        kept = model_files(model)
    check_file(output, kept)
    return kept


def _texts(
    problem: list[Buffer],
    found: Plan,
    limit: int | None,
    explanation: Explanation | None,
    *,
    as_json: bool,
) -> Iterator[str]:
    """Yield what there is to say."""
    if as_json:
        yield json.dumps(explanation.to_dict() if explanation else None, indent=2)
        return
    yield _summary(problem, found)
    if explanation is not None:
        yield explanation_text(explanation)
    if limit is not None:
        yield f"capacity {format_bytes(limit)}: {found.verdict(limit).value}"


def _summary(problem: list[Buffer], found: Plan) -> str:
    quality = "proved minimal" if found.optimal else f"stopped: {found.ending.value}"
    return (
        f"{len(problem)} buffers, arena {format_bytes(found.arena_bytes)}, "
        f"lower bound {format_bytes(found.lower_bound_bytes)}, {quality}"
    )
