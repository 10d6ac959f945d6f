"""The commands together, and what becomes of their errors: one line and an exit status."""

import os
import sys
import warnings
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from condense_compiler.cli import (
    accelerator,
    compiling,
    inspecting,
    listing,
    planning,
    running,
    viewing,
)
from condense_compiler.cli.status import DONE, INTERRUPTED, UNUSABLE
from condense_compiler.errors import CondenseError
from condense_compiler.limits import applied

app = typer.Typer(
    name="condense",
    help="Compile convolutional networks for small memories.",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("compile")(compiling.compile_command)
app.command("run")(running.run_command)
app.command("plan")(planning.plan_command)
app.command("view")(viewing.view_command)
app.command("inspect")(inspecting.inspect_command)
app.command("compare")(inspecting.compare_command)
app.command("verify")(running.verify_command)
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


def run() -> None:
    """Run the command line; exit 0 if done, 1 if a bound is not met, 2 if the input is unusable."""
    try:
        with warnings.catch_warnings(), applied(None):
            warnings.showwarning = _warn
            status = app(standalone_mode=False)
    except CondenseError as error:
        _complain(str(error))
    except TyperException as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        _complain(message if len(sys.argv) > 1 else "no command given; condense --help lists them")
    except OSError as error:  # the output itself: a full disk, a closed terminal
        _discard_output()
        _complain(f"the output cannot be written: {error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:
        _complain("interrupted", INTERRUPTED)
    sys.exit(status or DONE)


def _warn(message: Warning | str, *_where: object, **_else: object) -> None:
    """Print a warning as one line; where in the code it comes from helps nobody."""
    line = " ".join(str(message).split())
    print(f"condense: warning: {line}", file=sys.stderr)  # noqa: T201 - as errors are


def _complain(message: str, status: int = UNUSABLE) -> NoReturn:
    line = " ".join(message.split())
    print(f"condense: {line}", file=sys.stderr)  # noqa: T201 - the command line's one error line
    sys.exit(status)


def _discard_output() -> None:
    """Keep Python from trying once more, when it ends, to write what cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
