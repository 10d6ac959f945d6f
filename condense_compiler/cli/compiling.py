"""`condense compile`."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import typer

from condense_compiler.artefacts import read_request
from condense_compiler.cli.arguments import (
    parse_bytes,
    parse_dims,
    parse_limits,
    parse_options,
    parse_values,
)
from condense_compiler.cli.options import (
    AllowFallback,
    AsJson,
    Calibration,
    Dims,
    Io,
    LimitChanges,
    MachineName,
    MemoryLimit,
    OptionalModel,
    OrderSeconds,
    OutputFolder,
    Outputs,
    Passes,
    RequestFile,
    TargetName,
    TargetOptions,
    Values,
    Verify,
    split_names,
)
from condense_compiler.cli.progress import stage_progress
from condense_compiler.cli.status import BOUND_NOT_MET, DONE
from condense_compiler.compilation import FILES
from condense_compiler.driver import compile_request
from condense_compiler.errors import InputError
from condense_compiler.files import check_folder
from condense_compiler.limits import with_changes
from condense_compiler.network.external_data import model_files
from condense_compiler.network.fixed_values import values_as_text
from condense_compiler.passes import find_passes
from condense_compiler.report.report import Report
from condense_compiler.report.report_text import print_report
from condense_compiler.request import Request
from condense_compiler.targets import target_files

_T = TypeVar("_T")


def compile_command(
    model: OptionalModel = None,
    output: OutputFolder = None,
    request: RequestFile = None,
    target: TargetName = None,
    dim: Dims = [],  # noqa: B006 - typer wants a list, and nothing changes it
    outputs: Outputs = None,
    fixed: Values = [],  # noqa: B006 - typer wants a list, and nothing changes it
    io: Io = None,
    memory: MemoryLimit = None,
    passes: Passes = None,
    order_seconds: OrderSeconds = None,
    verify: Verify = None,
    option: TargetOptions = [],  # noqa: B006 - typer wants a list, and nothing changes it
    calibration: Calibration = None,
    machine: MachineName = None,
    allow_fallback: AllowFallback = False,
    limit: LimitChanges = [],  # noqa: B006 - typer wants a list, and nothing changes it
    as_json: AsJson = False,
) -> int:
    """Compile an ONNX network: fuse, order, place, lower, verify.

    Writes model.onnx, plan.csv, report.json, picture.json and what the target adds to a folder.
    --request compiles what an earlier report holds; options beside it replace what that says.
    Those of the form NAME=VALUE replace it by name; another target drops the options of the first.

    Example: condense compile network.onnx -o out --memory 512KiB
    Example: condense compile --request out/report.json --memory 256KiB -o smaller
    """
    options = parse_options(
        option,
        calibration=calibration,
        machine=machine,
        allow_fallback="true" if allow_fallback else None,
    )
    base = _base(model, request, target)
    asked = replace(
        base,
        target_options={**base.target_options, **options},
        dims={**base.dims, **parse_dims(dim)},
        outputs=_given(split_names(outputs), base.outputs),
        values={**base.values, **values_as_text(parse_values(fixed))},
        io=_given(io, base.io),
        passes=base.passes if passes is None else find_passes(passes),
        memory_limit_bytes=_given(parse_bytes("--memory", memory), base.memory_limit_bytes),
        order_seconds=_given(_positive("--order-seconds", order_seconds), base.order_seconds),
        verify=_given(verify, base.verify),
        limits=with_changes(parse_limits(limit), base.limits),
    )
    return _compile(asked, output or Path(f"{Path(asked.model).stem}.condensed"), as_json=as_json)


def _base(model: Path | None, file: Path | None, target: str | None) -> Request:
    """Return what the other options are added to: a request that was recorded, or an empty one."""
    if model is None and file is None:
        raise InputError("give a model, or --request FILE")
    base = Request("") if file is None else read_request(file)
    if model is not None:
        base = replace(base, model=str(model), model_path=None, model_sha256=None)
    elif not Path(str(base.model_path)).is_file():
        raise InputError(
            f"{file}: the model {base.model_path} is not there; tell where it is: "
            f"condense compile MODEL --request {file}"
        )
    if target not in (None, base.target):
        base = replace(base, target=str(target), target_options={})
    return base


def _given(value: _T | None, otherwise: _T) -> _T:
    return otherwise if value is None else value


def _compile(request: Request, folder: Path, *, as_json: bool) -> int:
    names, model = (*FILES, *target_files(request.target)), Path(str(request.source))
    check_folder(folder, names, model_files(model) if folder.is_dir() else ())
    with stage_progress() as watcher:
        compilation = compile_request(request, watcher)
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
