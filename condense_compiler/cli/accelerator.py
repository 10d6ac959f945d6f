"""`condense simulate`, `condense disassemble`, `condense assemble`: using an accelerator binary."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from condense_compiler.artefacts import open_folder
from condense_compiler.cli.arguments import Inputs, OutputArrays, input_files, read_feeds
from condense_compiler.cli.executing import files_of
from condense_compiler.cli.status import DONE
from condense_compiler.errors import InputError
from condense_compiler.files import check_file, is_standard_output, write_file
from condense_compiler.files.array_files import write_arrays
from condense_compiler.files.manifest import check_together, read_artefacts
from condense_compiler.files.output import STANDARD_OUTPUT
from condense_compiler.targets.accelerator.folder import BINARY_FILE, PART_FILES, read_binary
from condense_compiler.targets.accelerator.isa.binary import Binary, to_bytes
from condense_compiler.targets.accelerator.isa.text import assemble, disassemble
from condense_compiler.targets.accelerator.simulator.simulate import Counts, simulate
from condense_compiler.targets.accelerator.simulator.trace import to_trace

BinaryPath = Annotated[
    Path,
    typer.Argument(
        help="Binary, or folder that `condense compile --target accelerator` wrote.",
        show_default=False,
    ),
]
Output = Annotated[
    Path,
    typer.Option("-o", "--output", help="File to write; - is standard output.", show_default="-"),
]


def simulate_command(
    program: BinaryPath,
    inputs: Inputs = [],  # noqa: B006 - typer wants a list, and nothing changes it
    output: OutputArrays = None,
    trace: Annotated[
        Path | None, typer.Option(help="File for a Chrome trace, .json.", show_default=False)
    ] = None,
) -> int:
    """Run a binary on the simulator: results, cycles, traffic, storage.

    Example: condense simulate out --input input=x.npy --trace trace.json
    """
    binary, kept = _binary_of(program)
    _check_outputs([path for path in (output, trace) if path is not None], inputs, kept)
    names = [port.name for port in binary.ports if not port.is_output]
    run = simulate(binary, read_feeds(inputs, names))
    if output is not None:
        write_arrays(output, run.outputs, kept)
    if trace is not None:
        write_file(trace, to_trace(run.timed), kept)
    to_error = is_standard_output(output) or is_standard_output(trace)
    _print_counts(run.counts, binary, to_error=to_error)
    for name, values in run.outputs.items():
        low, high = np.min(values, initial=0), np.max(values, initial=0)
        line = f"{name}: {values.dtype} {list(values.shape)}, from {low:.6g} to {high:.6g}"
        typer.echo(line, err=to_error)
    return DONE


def _check_outputs(outputs: Sequence[Path], inputs: Sequence[str], kept: Sequence[Path]) -> None:
    for path in outputs:
        check_file(path, (*kept, *input_files(inputs)))
    if len({path.absolute() for path in outputs}) < len(outputs):
        raise InputError(f"{outputs[0]}: given for two outputs; give each its own file")


def disassemble_command(program: BinaryPath, output: Output = STANDARD_OUTPUT) -> int:
    """Write a binary as text, which `condense assemble` reads back.

    Example: condense disassemble out -o program.txt
    """
    binary, kept = _binary_of(program)
    write_file(output, disassemble(binary), kept)
    return DONE


def assemble_command(
    source: Annotated[Path, typer.Argument(help="Text form of a binary.", show_default=False)],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Binary to write.", show_default=True)
    ] = Path(BINARY_FILE),
) -> int:
    """Write a binary from its text form.

    Example: condense assemble program.txt -o program.bin
    """
    try:
        text = source.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{source}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{source}: not text: {error}") from error
    write_file(output, to_bytes(assemble(text)), (source,))
    return DONE


def _binary_of(program: Path) -> tuple[Binary, Sequence[Path]]:
    """Return a binary, and the files that it was read from and with."""
    if not program.is_dir():
        return read_binary(program), (program,)
    with open_folder(program, ()) as report:
        kept = files_of(program, report)
        parts = sorted(path.name for path in kept if path.match(PART_FILES))
        if parts:
            raise InputError(f"{program}: a network in parts; give one of them, such as {parts[0]}")
        check_together(program, read_artefacts(report["artefacts"]), (BINARY_FILE,))
        return read_binary(program / BINARY_FILE), kept


def _print_counts(counts: Counts, binary: Binary, *, to_error: bool) -> None:
    table = Table("", "", box=None, show_header=False)
    table.columns[1].justify = "right"
    table.add_row("cycles", f"{counts.cycles:,}")
    table.add_row("multiply-accumulates", f"{counts.macs:,}")
    table.add_row("units busy", f"{counts.mac_utilisation:.1%}")
    _add_rows(table, "waiting for", counts.stalls)
    _add_rows(table, "traffic:", counts.traffic)
    table.add_row("feature-map memory", f"{counts.chip_bytes:,}")
    table.add_row("weight buffer", f"{counts.weight_buffer_bytes:,}")
    table.add_row("feature maps in DRAM", f"{counts.dram_bytes:,}")
    table.add_row("program", f"{counts.instruction_bytes:,}")
    Console(highlight=False, stderr=to_error).print(f"machine {binary.machine.name}", table)


def _add_rows(table: Table, title: str, numbers: Mapping[str, int]) -> None:
    for name, number in numbers.items():
        table.add_row(f"{title} {name}", f"{number:,}")
