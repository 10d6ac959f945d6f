"""Arguments and options of the commands: types that say how each is read and explained."""

from pathlib import Path
from typing import Annotated

import typer

from condense_compiler.cli.arguments import parse_limits
from condense_compiler.errors import InputError
from condense_compiler.limits import LIMIT_NAMES, put_in_force, with_changes
from condense_compiler.network.interface import FORMS


def _folder(text: str) -> Path:
    if not text:
        raise InputError("--output '': give a folder to write to; `.` is the one you are in")
    return Path(text)


OptionalModel = Annotated[Path | None, typer.Argument(help="ONNX file.", show_default=False)]
RequestFile = Annotated[
    Path | None,
    typer.Option(
        "--request",
        metavar="FILE",
        help="Request to start from: the report.json of an earlier compilation, or a request by "
        "itself.",
        show_default=False,
    ),
]
OutputFolder = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="DIR",
        parser=_folder,
        help="Folder to write.",
        show_default="MODEL.condensed",
    ),
]
TargetName = Annotated[
    str | None,
    typer.Option(help="What to lower to; see `condense targets`.", show_default="reference"),
]
Dims = Annotated[
    list[str],
    typer.Option(
        "--dim",
        metavar="NAME=N",
        help="Size of a symbolic dimension; may be repeated.",
        show_default=False,
    ),
]
Outputs = Annotated[
    str | None,
    typer.Option(
        "--outputs",
        metavar="A,B",
        help="Tensors to compute instead of the model's outputs; what they do not need is left "
        "out.",
        show_default=False,
    ),
]
Values = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Fix an input, such as a flag that selects a branch; may be repeated.",
        show_default=False,
    ),
]
Io = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(FORMS),
        help="`quantised`: inputs and outputs are 8-bit values where the model quantises them "
        "first and dequantises them last; the report tells what they mean.",
        show_default="given",
    ),
]
MemoryLimit = Annotated[
    str | None,
    typer.Option(
        help="Size that the feature maps must fit, such as 512KiB; on the accelerator, maps that "
        "do not fit go to DRAM.",
        show_default=False,
    ),
]
Passes = Annotated[
    str | None,
    typer.Option(
        metavar="A,B(OPTION=VALUE)",
        help="Passes to run, in order, instead of the default ones; '' runs none.",
        show_default=False,
    ),
]
OrderSeconds = Annotated[
    float | None,
    typer.Option(
        help="Search longer for a better order, at most this long; otherwise a fixed effort.",
        show_default=False,
    ),
]
Verify = Annotated[
    bool | None,
    typer.Option(
        "--verify/--no-verify",
        help="Compare with ONNX Runtime on the model given.",
        show_default="verify",
    ),
]
TargetOptions = Annotated[
    list[str],
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="Option of the target; may be repeated.",
        show_default=False,
    ),
]
Calibration = Annotated[
    str | None,
    typer.Option(help="Samples to quantise with: .npz file or folder.", show_default=False),
]
MachineName = Annotated[
    str | None,
    typer.Option(help="Machine to compile for: its name or TOML file.", show_default=False),
]
AllowFallback = Annotated[
    bool,
    typer.Option("--allow-fallback", help="Run what the target cannot on the reference one."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def _put_limits_in_force(pairs: list[str]) -> list[str]:
    if pairs:
        put_in_force(with_changes(parse_limits(pairs)))
    return pairs


LimitChanges = Annotated[
    list[str],
    typer.Option(
        "--limit",
        metavar="NAME=N",
        callback=_put_limits_in_force,
        help=f"Raise or lower a limit, as in tensor_bytes=4GiB; may be repeated. "
        f"Limits: {', '.join(LIMIT_NAMES)}.",
        show_default=False,
    ),
]


def split_names(text: str | None) -> tuple[str, ...] | None:
    """Read names separated by commas; None stays None."""
    return None if text is None else tuple(n.strip() for n in text.split(",") if n.strip())
