"""The report as a person reads it."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from condense_compiler.report.report import Report
from condense_compiler.report.words import format_bytes

_SHOWN = 12  # more layers than this are counted, not listed


def print_report(report: Report, folder: Path, console: Console | None = None) -> None:
    """Print what a person wants to know first; the rest is in report.json."""
    console = console or Console(highlight=False)
    console.print(f"[bold]{report.model}[/bold] → {folder} (target {report.target})")
    console.print(_storage_table(report))
    if not report.fits:
        limit = format_bytes(report.memory_limit_bytes or 0)
        console.print(f"[red]does not fit[/red] the {limit} that were asked for")
    _print_layers(report, console)
    _print_verification(report, console)
    times = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in report.seconds.items())
    console.print(f"seconds: {times}")


def _storage_table(report: Report) -> Table:
    table = Table("", "before", "after", "saved", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    rows = [
        ("feature-map arena", report.before.arena_bytes, report.after.arena_bytes),
        ("lower bound", report.before.lower_bound_bytes, report.after.lower_bound_bytes),
        ("all feature maps", report.before.sum_bytes, report.after.sum_bytes),
        ("traffic", report.traffic_before, report.traffic_after),
    ]
    for name, before, after in rows:
        table.add_row(name, format_bytes(before), format_bytes(after), _saved(before, after))
    table.add_row(
        "multiply-accumulates",
        f"{report.macs_before:,}",
        f"{report.macs:,}",
        _saved(report.macs_before, report.macs),
    )
    return table


def _saved(before: int, after: int) -> str:
    return f"{1 - after / before:.1%}" if before else ""


def _print_layers(report: Report, console: Console) -> None:
    virtual = sum(layer.virtual_bytes for layer in report.fused)
    console.print(f"fused: {len(report.fused)}, {format_bytes(virtual)} of maps are virtual")
    for layer in report.fused[:_SHOWN]:
        console.print(f"  {layer.node}: {layer.pattern}", style="green", markup=False)
    if report.refused:
        console.print(f"refused: {len(report.refused)}")
    for refused in report.refused[:_SHOWN]:
        console.print(f"  {refused.node}: {refused.reason}", style="yellow", markup=False)
    hidden = max(len(report.fused) - _SHOWN, 0) + max(len(report.refused) - _SHOWN, 0)
    if hidden:
        console.print(f"  ... {hidden} more in report.json")


def _print_verification(report: Report, console: Console) -> None:
    result = report.verification
    if result is None:
        console.print("not verified")
        return
    verdict = "[green]verified[/green]" if result.passed else "[red]outputs differ[/red]"
    console.print(
        f"{verdict} against ONNX Runtime: largest difference "
        f"{result.relative_difference:.1e} of the largest magnitude"
    )
