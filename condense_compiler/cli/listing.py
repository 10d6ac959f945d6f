"""`condense passes`, `condense targets`, `condense --version`."""

import typer
from rich.console import Console
from rich.table import Table

from condense_compiler.passes import find_pass, pass_names
from condense_compiler.targets import find_target, target_names


def print_version(asked: bool) -> None:
    """Print the version and stop, if that is what was asked for."""
    if asked:
        from condense_compiler import __version__  # noqa: PLC0415 - the package imports this module

        typer.echo(f"condense {__version__}")
        raise typer.Exit


def passes_command() -> int:
    """List the passes, those that run by default in their order.

    Example: condense passes
    """
    _list("pass", [(name, _first_line(find_pass(name))) for name in pass_names()])
    return 0


def targets_command() -> int:
    """List what a network can be lowered to.

    Example: condense targets
    """
    _list("target", [(name, _first_line(find_target(name))) for name in target_names()])
    return 0


def _first_line(described: object) -> str:
    return (type(described).__doc__ or "").strip().splitlines()[0]


def _list(kind: str, rows: list[tuple[str, str]]) -> None:
    table = Table(kind, "what it does", box=None)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
