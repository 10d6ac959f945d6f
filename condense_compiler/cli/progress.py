"""Showing a person that something is going on."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from condense_compiler.report.stages import STAGES, StageWatcher


@contextmanager
def stage_progress() -> Iterator[StageWatcher]:
    """Show a bar of the stages on a terminal's standard error; elsewhere nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn())
    disable = not console.is_terminal
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, disable=disable
    ) as bar:
        task = bar.add_task("", total=len(STAGES) + 1)

        def watch(stage: str) -> None:
            bar.update(task, description=stage, advance=1)

        yield watch
