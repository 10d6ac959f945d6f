"""`condense compile`."""

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from condense_compiler.cli.arguments import parse_bytes, parse_dims, parse_options
from condense_compiler.cli.progress import stage_progress
from condense_compiler.cli.status import BOUND_NOT_MET, DONE
from condense_compiler.compilation import check_writable
from condense_compiler.driver import compile_model
from condense_compiler.errors import InputError
from condense_compiler.report.text import print_report

Model = Annotated[Path, typer.Argument(help="ONNX file.", show_default=False)]
Dims = Annotated[
    list[str],
    typer.Option(
        "--dim",
        metavar="NAME=N",
        help="Size of a symbolic dimension; may be repeated.",
        show_default=False,
    ),
]
Passes = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Passes to run, in order, instead of the default ones; '' runs none.",
        show_default=False,
    ),
]


def compile_command(
    model: Model,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder to write.", show_default="MODEL.condensed"),
    ] = None,
    target: Annotated[str, typer.Option(help="What to lower to; see `condense targets`.")] = (
        "reference"
    ),
    dim: Dims = [],  # noqa: B006 - typer wants a list, and nothing changes it
    memory: Annotated[
        str | None,
        typer.Option(help="Size that the arena must fit, such as 512KiB.", show_default=False),
    ] = None,
    passes: Passes = None,
    order_seconds: Annotated[
        float | None,
        typer.Option(
            help="Search longer for a better order, at most this long; otherwise a fixed effort.",
            show_default=False,
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify/--no-verify", help="Compare with ONNX Runtime on the model given."),
    ] = True,
    option: Annotated[
        list[str],
        typer.Option(
            "--option",
            metavar="NAME=VALUE",
            help="Option of the target; may be repeated.",
            show_default=False,
        ),
    ] = [],  # noqa: B006 - typer wants a list, and nothing changes it
    calibration: Annotated[
        str | None,
        typer.Option(help="Samples to quantise with: .npz file or folder.", show_default=False),
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option(help="Machine to compile for: its name or TOML file.", show_default=False),
    ] = None,
    allow_fallback: Annotated[
        bool,
        typer.Option("--allow-fallback", help="Run what the target cannot on the reference one."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> int:
    """Compile an ONNX network: fuse, order, place, lower, verify.

    Writes model.onnx, plan.csv, report.json, picture.json and what the target adds to a folder.

    Example: condense compile network.onnx -o out --memory 512KiB
    """
    folder = output if output is not None else Path(f"{model.stem}.condensed")
    limit, dims = parse_bytes("--memory", memory), parse_dims(dim)
    if order_seconds is not None and not 0 < order_seconds < math.inf:
        raise InputError(f"--order-seconds {order_seconds} must be a positive number")
    check_writable(folder)
    with stage_progress() as watcher:
        compilation = compile_model(
            model,
            target,
            dims=dims,
            passes=split_names(passes),
            memory_limit_bytes=limit,
            order_seconds=order_seconds,
            verify_outputs=verify,
            target_options=parse_options(
                option,
                calibration=calibration,
                machine=machine,
                allow_fallback="true" if allow_fallback else None,
            ),
            watcher=watcher,
        )
        watcher("save")
        compilation.save(folder)
    report = compilation.report
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        print_report(report, folder)
    return DONE if report.succeeded else BOUND_NOT_MET


def split_names(text: str | None) -> list[str] | None:
    """Read a list of names separated by commas; None stays None."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
