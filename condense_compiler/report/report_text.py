"""The report as a person reads it: whether it fits, what was saved, what was done."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console

from condense_compiler.network.interface import QuantisedValue
from condense_compiler.report.floating import FloatMap
from condense_compiler.report.memory_figures import Residency
from condense_compiler.report.report import FusedLayer, RefusedLayer, Report, Verification
from condense_compiler.report.tables import align
from condense_compiler.report.words import change, format_bytes, format_short, proof

_SHOWN = 8  # more layers than this are counted, not listed


def print_report(report: Report, folder: Path, console: Console | None = None) -> None:
    """Print what a person wants to know first; the rest is in report.json."""
    console = console or Console(highlight=False)
    style = "bold green" if report.succeeded else "bold red"
    headline, *lines = report_lines(report)
    _print(console, headline, style)
    for line in lines:
        _print(console, line)
    if report.verification is not None and not report.verification.passed:
        _print(console, f"find what makes them differ: condense verify {folder} --bisect", style)
    _print(console, f"written to {folder}; see the plan: condense view {folder}")


def report_lines(report: Report) -> list[str]:
    """Return the report as lines: first whether it fits."""
    return [
        headline(report),
        *storage_lines(report),
        *_residency_lines(report.residency),
        *_fused_lines(report.fused),
        *_refused_lines(report.refused),
        *_quantised_lines(report.quantised_values),
        *_floating_lines(report.in_floating_point),
        _verification_line(report),
        _seconds_line(report),
    ]


def headline(report: Report) -> str:
    """Return the one line that matters most."""
    arena = f"{_memory(report)} {format_short(report.after.arena_bytes)}"
    proved = _proved(report)
    name, limit_bytes = Path(report.model).name, report.request.memory_limit_bytes
    if limit_bytes is None:
        return f"{name}: {arena}, {proved}"
    verdict = _verdict(report)
    difference = abs(limit_bytes - report.after.arena_bytes)
    word = "to spare" if report.fits else "missing"
    limit = format_short(limit_bytes)
    return f"{name}: {verdict} {limit}: {arena}, {format_short(difference)} {word}, {proved}"


def _verdict(report: Report) -> str:
    """Return whether the limit holds; a network fits only where all its maps do."""
    if not report.fits:
        return "does not fit"
    residency = report.residency
    if residency is None or not residency.in_dram:
        return "fits"
    maps = residency.on_chip + residency.in_dram
    return f"with {residency.in_dram} of {maps} feature maps in DRAM, runs in"


def _memory(report: Report) -> str:
    """Return what the memory is called whose size is reported."""
    return "arena" if report.residency is None else "chip memory"


def _proved(report: Report) -> str:
    if report.residency is None or not report.residency.in_dram:
        return proof(report.after)
    proved = "proved least" if report.residency.traffic_optimal else "not proved least"
    return f"traffic {proved}"


def storage_lines(report: Report) -> list[str]:
    """Return the table of what was saved."""
    quantities: Sequence[tuple[str, int, int, Callable[[int], str]]] = (
        (
            f"feature-map {_memory(report).split()[-1]}",
            report.before.arena_bytes,
            report.after.arena_bytes,
            _bytes,
        ),
        ("lower bound", report.before.lower_bound_bytes, report.after.lower_bound_bytes, _bytes),
        ("all feature maps", report.before.sum_bytes, report.after.sum_bytes, _bytes),
        ("traffic", report.traffic_before, report.traffic_after, _bytes),
        ("multiply-accumulates", report.macs_before, report.macs, "{:,}".format),
    )
    rows = [
        (name, show(before), show(after), change(before, after))
        for name, before, after, show in quantities
    ]
    lines = align([("", "before", "after", "change"), *rows], right=4)
    width = max(len(name) for name, *_ in rows)
    # The names stand at the left, the numbers at the right.
    return [f"  {line[:width].strip():<{width}}{line[width:]}" for line in lines]


def _residency_lines(residency: Residency | None) -> Iterable[str]:
    if residency is None:
        return
    yield (
        f"feature maps: {residency.on_chip} on the chip, {residency.in_dram} in DRAM; "
        f"DRAM for maps, inputs and outputs: {format_bytes(residency.dram_bytes)}"
    )


def _bytes(count: int) -> str:
    return f"{count:,} B"


def _fused_lines(fused: Sequence[FusedLayer]) -> Iterable[str]:
    virtual = format_bytes(sum(layer.virtual_bytes for layer in fused))
    yield f"fused: {len(fused)}" + (f", {virtual} of feature maps are virtual" if fused else "")
    yield from (f"  {layer.node}: {layer.pattern}" for layer in fused[:_SHOWN])
    yield from _more(len(fused))


def _refused_lines(refused: Sequence[RefusedLayer]) -> Iterable[str]:
    yield f"refused: {len(refused)}"
    yield from (f"  {layer.node}: {layer.reason}" for layer in refused[:_SHOWN])
    yield from _more(len(refused))


def _quantised_lines(values: Sequence[QuantisedValue]) -> Iterable[str]:
    for value in values:
        yield f"{value.name}: {value.dtype}, (value - {value.zero_point}) * {value.scale:.9g}"


def _floating_lines(maps: Sequence[FloatMap]) -> Iterable[str]:
    if maps:
        size = format_bytes(sum(each.bytes for each in maps))
        yield f"in floating point: {len(maps)} feature maps, {size}"
    yield from (f"  {each.tensor}: {each.reason}" for each in maps[:_SHOWN])
    yield from _more(len(maps))


def _more(count: int) -> Iterable[str]:
    if count > _SHOWN:
        yield f"  and {count - _SHOWN} more, in report.json"


def _verification_line(report: Report) -> str:
    result = report.verification
    if result is None:
        return "not verified"
    verdict = "verified" if result.passed else "OUTPUTS DIFFER"
    return f"{verdict} against {result.against}: {difference_text(result)}"


def difference_text(result: Verification) -> str:
    """Return how much the outputs of a compiled network differ from what they must equal."""
    if not result.of_codes:
        return _difference_of_values(result)
    share, steps = result.relative_difference, result.largest_difference
    if math.isinf(share):
        by = "" if math.isinf(steps) else f" by up to {steps:.0f} steps"
        return f"quantised values differ{by}"
    return f"{share:.4%} of the quantised values differ, by at most {steps:.0f} steps"


def _difference_of_values(result: Verification) -> str:
    where = "" if result.passed or result.output is None else f"{result.output!r}: "
    if math.isinf(result.relative_difference):
        return f"{where}shapes, types, or places of NaN and infinity differ"
    text = (
        f"{where}largest difference {result.relative_difference:.1e} of the largest magnitude, "
        f"allowed {result.tolerance:.1e}"
    )
    if result.moved is None:
        return text
    return f"{text} (next to nothing moves the network as given by {result.moved:.1e})"


def _seconds_line(report: Report) -> str:
    times = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in report.seconds.items())
    return f"seconds: {times}"


def _print(console: Console, line: str, style: str | None = None) -> None:
    """Print a line as it is: not wrapped, so that it can be searched and compared."""
    console.print(line, style=style, markup=False, soft_wrap=True)
