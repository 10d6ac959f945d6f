"""`condense view`: the picture of a plan."""

import json
import sys
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from condense_compiler.artefacts import open_folder, read_picture
from condense_compiler.cli.arguments import parse_dims, parse_values
from condense_compiler.cli.options import (
    Dims,
    Io,
    LimitChanges,
    Outputs,
    Passes,
    Values,
    split_names,
)
from condense_compiler.cli.progress import stage_progress
from condense_compiler.cli.status import DONE
from condense_compiler.compilation import FILES, PICTURE_FILE
from condense_compiler.driver import plan_request
from condense_compiler.errors import InputError
from condense_compiler.files import check_file, is_standard_output, write_file
from condense_compiler.network.external_data import model_files
from condense_compiler.network.interface import GIVEN
from condense_compiler.report.figure import SUFFIXES, write_figure
from condense_compiler.report.page import render_page
from condense_compiler.report.picture import Picture
from condense_compiler.report.tables import render_text
from condense_compiler.report.terminal import render_terminal
from condense_compiler.request import Request

_PLAIN_WIDTH = 100  # characters of the picture where there is no terminal


class OutputForm(StrEnum):
    """How a picture is shown on standard output."""

    TERMINAL = "terminal"
    TEXT = "text"
    JSON = "json"


def view_command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|MODEL", help="Compiled folder, or ONNX file.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="File to write: .html, .svg, .png or .pdf; - is the page on standard output.",
            show_default="NAME.plan.html",
        ),
    ] = None,
    terminal: Annotated[
        bool, typer.Option("--terminal", help="Draw in the terminal; write no file.")
    ] = False,
    as_text: Annotated[
        bool, typer.Option("--text", help="Print every fact of the picture; write no file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
    dim: Dims = [],  # noqa: B006 - typer wants a list, and nothing changes it
    outputs: Outputs = None,
    fixed: Values = [],  # noqa: B006 - typer wants a list, and nothing changes it
    io: Io = None,
    passes: Passes = None,
    _limit: LimitChanges = [],  # noqa: B006 - typer wants a list, and nothing changes it
) -> int:
    """Show where every feature map lies in the arena, and when, before and after compilation.

    Example: condense view network.onnx
    Example: condense view out -o plan.svg
    Example: condense view network.onnx --terminal
    """
    chosen = [
        form for form, asked in zip(OutputForm, (terminal, as_text, as_json), strict=True) if asked
    ]
    if len(chosen) + (output is not None) > 1:
        raise InputError("give only one of --output, --terminal, --text, --json")
    target = output or Path(f"{source.resolve().name.removesuffix('.onnx')}.plan.html")
    write = None if chosen else _writer(target)
    kept = () if chosen else _kept(source, target)
    request = Request.of(
        source,
        dims=parse_dims(dim),
        outputs=split_names(outputs),
        values=parse_values(fixed),
        io=io or GIVEN,
        passes=passes,
    )
    picture = _picture(source, request)
    if write is None:
        _print(picture, chosen[0])
        return DONE
    write(picture, target, kept)
    if not is_standard_output(target):
        typer.echo(target)
    return DONE


def _kept(source: Path, target: Path) -> tuple[Path, ...]:
    """Return what is read, once it is sure that the target can be written beside it."""
    check_file(target)
    if not target.exists():
        kept: tuple[Path, ...] = ()
    elif source.is_dir():
        kept = tuple(path for path in source.iterdir() if path.name in FILES)
    else:
        kept = model_files(source)
    check_file(target, kept)
    return kept


def _picture(source: Path, request: Request) -> Picture:
    if not source.is_dir():
        with stage_progress() as watcher:
            return plan_request(request, watcher=watcher).picture()
    if request != Request.of(source):
        raise InputError(
            f"{source}: is compiled already; --dim, --outputs, --set, --io and --passes are for "
            "models"
        )
    with open_folder(source, (PICTURE_FILE,)):
        return read_picture(source)


def _write_page(picture: Picture, path: Path, kept: Collection[Path]) -> None:
    write_file(path, render_page(picture), kept)


_Writer = Callable[[Picture, Path, Collection[Path]], None]
_WRITERS: Mapping[str, _Writer] = {
    ".html": _write_page,
    **dict.fromkeys(SUFFIXES, write_figure),
}


def _writer(path: Path) -> _Writer:
    if is_standard_output(path):
        return _write_page
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise InputError(f"--output {str(path)!r}: end the name with {', '.join(_WRITERS)}")
    return _WRITERS[suffix]


def _print(picture: Picture, form: OutputForm) -> None:
    if form is OutputForm.JSON:
        typer.echo(json.dumps(picture.to_dict(), indent=2))
    elif form is OutputForm.TEXT:
        typer.echo(render_text(picture), nl=False)
    else:
        console = Console(highlight=False)
        width = console.width if sys.stdout.isatty() else _PLAIN_WIDTH
        console = Console(highlight=False, width=width)
        console.print(render_terminal(picture, width), end="", soft_wrap=True)
