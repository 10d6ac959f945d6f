"""The commands together, and what becomes of their errors: one line and an exit status."""

import sys
import warnings
from typing import Annotated

import typer
from typer.exceptions import TyperException

from condense_compiler.cli import (
    accelerator,
    compiling,
    executing,
    inspecting,
    listing,
    planning,
    viewing,
)
from condense_compiler.cli.ending import complain
from condense_compiler.cli.status import DONE, INTERRUPTED
from condense_compiler.limits import applied

app = typer.Typer(
    name="condense",
    help="Compile convolutional networks for small memories.",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("compile")(compiling.compile_command)
app.command("run")(executing.run_command)
app.command("plan")(planning.plan_command)
app.command("view")(viewing.view_command)
app.command("inspect")(inspecting.inspect_command)
app.command("compare")(inspecting.compare_command)
app.command("verify")(executing.verify_command)
app.command("simulate")(accelerator.simulate_command)
app.command("disassemble")(accelerator.disassemble_command)
app.command("assemble")(accelerator.assemble_command)
app.command("passes")(listing.passes_command)
app.command("targets")(listing.targets_command)


@app.callback()
def _condense(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=listing.print_version
        ),
    ] = False,
) -> None:
    """Compile convolutional networks for small memories."""


def run() -> int:
    """Run the command line and return its exit status; what else can happen is raised."""
    if hasattr(sys.stdout, "reconfigure"):  # names of files may be no text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings(), applied(None):
            warnings.showwarning = _warn
            status = app(standalone_mode=False)
    except TyperException as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        missing = "no command given; condense --help lists them"
        return complain(message if len(sys.argv) > 1 else missing)
    except typer.Abort:
        status = INTERRUPTED
    if status == INTERRUPTED:  # Typer may have caught the exception
        return complain("interrupted", INTERRUPTED)
    if sys.stdout is not None:
        sys.stdout.flush()
    return status or DONE


def _warn(message: Warning | str, *_where: object, **_else: object) -> None:
    """Print a warning as one line; where in the code it comes from helps nobody."""
    line = " ".join(str(message).split())
    print(f"condense: warning: {line}", file=sys.stderr)  # noqa: T201 - as errors are
