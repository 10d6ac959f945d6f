"""`condense compile`."""

import json
import math
from pathlib import Path

import typer

from condense_compiler.cli.arguments import parse_bytes, parse_dims, parse_options, parse_values
from condense_compiler.cli.options import (
    AllowFallback,
    AsJson,
    Calibration,
    Dims,
    Io,
    LimitChanges,
    MachineName,
    Memory,
    Model,
    OrderSeconds,
    OutputFolder,
    Outputs,
    Passes,
    TargetName,
    TargetOptions,
    Values,
    Verify,
    split_names,
)
from condense_compiler.cli.progress import stage_progress
from condense_compiler.cli.status import BOUND_NOT_MET, DONE
from condense_compiler.compilation import FILES
from condense_compiler.driver import compile_model
from condense_compiler.errors import InputError
from condense_compiler.files import check_folder
from condense_compiler.network.external_data import model_files
from condense_compiler.network.interface import GIVEN
from condense_compiler.report.report import Report
from condense_compiler.report.text import print_report
from condense_compiler.targets import target_files


def compile_command(
    model: Model,
    output: OutputFolder = None,
    target: TargetName = "reference",
    dim: Dims = [],  # noqa: B006 - typer wants a list, and nothing changes it
    outputs: Outputs = None,
    fixed: Values = [],  # noqa: B006 - typer wants a list, and nothing changes it
    io: Io = GIVEN,
    memory: Memory = None,
    passes: Passes = None,
    order_seconds: OrderSeconds = None,
    verify: Verify = True,
    option: TargetOptions = [],  # noqa: B006 - typer wants a list, and nothing changes it
    calibration: Calibration = None,
    machine: MachineName = None,
    allow_fallback: AllowFallback = False,
    _limit: LimitChanges = [],  # noqa: B006 - typer wants a list, and nothing changes it
    as_json: AsJson = False,
) -> int:
    """Compile an ONNX network: fuse, order, place, lower, verify.

    Writes model.onnx, plan.csv, report.json, picture.json and what the target adds to a folder.

    Example: condense compile network.onnx -o out --memory 512KiB
    """
    folder = output if output is not None else Path(f"{model.stem}.condensed")
    dims, limit = parse_dims(dim), parse_bytes("--memory", memory)
    options = parse_options(
        option,
        calibration=calibration,
        machine=machine,
        allow_fallback="true" if allow_fallback else None,
    )
    seconds = _positive("--order-seconds", order_seconds)
    names = (*FILES, *target_files(target))
    check_folder(folder, names, model_files(model) if folder.is_dir() else ())
    with stage_progress() as watcher:
        compilation = compile_model(
            model,
            target,
            dims=dims,
            outputs=split_names(outputs),
            values=parse_values(fixed),
            io=io,
            passes=split_names(passes),
            memory_limit_bytes=limit,
            order_seconds=seconds,
            verify_outputs=verify,
            target_options=options,
            watcher=watcher,
        )
        watcher("save")
        report = compilation.save(folder)
    return _tell(report, folder, as_json=as_json)


def _positive(option: str, number: float | None) -> float | None:
    if number is not None and not 0 < number < math.inf:
        raise InputError(f"{option} {number} must be a positive number")
    return number


def _tell(report: Report, folder: Path, *, as_json: bool) -> int:
    """Print the report; return the exit status."""
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        print_report(report, folder)
    return DONE if report.succeeded else BOUND_NOT_MET
