"""`condense run` and `condense verify`: using a folder that was compiled earlier."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy.typing as npt
import typer

from condense_compiler import bisection
from condense_compiler.artefacts import (
    open_folder,
    read_program,
    read_runnable,
    read_source,
    target_of,
)
from condense_compiler.cli.arguments import Inputs, OutputArrays, input_files, read_feeds
from condense_compiler.cli.options import LimitChanges
from condense_compiler.cli.status import BOUND_NOT_MET, DONE
from condense_compiler.files import check_file, is_standard_output
from condense_compiler.files.array_files import write_arrays
from condense_compiler.files.manifest import REPORT_FILE
from condense_compiler.network.selection import as_selected
from condense_compiler.passes import find_pass
from condense_compiler.report.report_text import difference_text
from condense_compiler.targets import Verifying
from condense_compiler.verification import check_effort, random_feeds, verify

Folder = Annotated[
    Path, typer.Argument(help="Folder that `condense compile` wrote.", show_default=False)
]

Bisect = Annotated[
    bool,
    typer.Option(
        "--bisect",
        help="Where outputs differ, find the first pass and rewrite, or operator of the target, "
        "that makes them differ.",
    ),
]


def run_command(
    folder: Folder,
    inputs: Inputs = [],  # noqa: B006 - typer wants a list, and nothing changes it
    output: OutputArrays = None,
    _limit: LimitChanges = [],  # noqa: B006 - typer wants a list, and nothing changes it
) -> int:
    """Run a compiled network.

    Example: condense run out --input input=x.npy --output y.npz
    """
    with open_folder(folder) as report:
        kept = (*files_of(folder, report), *input_files(inputs))
        if output is not None:
            check_file(output, kept)
        program = read_program(folder)
        names = [tensor.name for tensor in program.network.graph.inputs]
        check_effort(program.network, program.arena_bytes, "a run")
        outputs = read_runnable(folder, report, program).run(read_feeds(inputs, names))
    if output is not None:
        write_arrays(output, outputs, kept)
    for name, values in outputs.items():
        line = f"{name}: {values.dtype} {list(values.shape)}, {_extent(values)}"
        typer.echo(line, err=is_standard_output(output))
    return DONE


def files_of(folder: Path, report: Mapping[str, Any]) -> list[Path]:
    """Return the files of a compiled folder, which no output may take the place of."""
    return [folder / REPORT_FILE, *(folder / entry["file"] for entry in report["artefacts"])]


def verify_command(
    folder: Folder,
    bisect: Bisect = False,
    _limit: LimitChanges = [],  # noqa: B006 - typer wants a list, and nothing changes it
) -> int:
    """Check a compiled network: its plan, and its outputs against the model it was made from.

    Example: condense verify out --bisect
    """
    with open_folder(folder) as report:
        program = read_program(folder)
        check_effort(program.network, program.arena_bytes, "verification")
        runnable = read_runnable(folder, report, program)
        feeds = random_feeds(program.network)
        if isinstance(runnable, Verifying):
            result = runnable.verify(feeds)
        else:
            result = verify(runnable.run, as_selected(*read_source(folder, report)), feeds)
    verdict = "outputs agree" if result.passed else "outputs differ"
    memory = "arena" if report["residency"] is None else "chip memory"
    arena_bytes = report["feature_maps"]["after"]["arena_bytes"]
    typer.echo(
        f"{verdict} with {result.against}: {difference_text(result)}; "
        f"plan valid, {memory} {arena_bytes:,} bytes"
    )
    if result.passed:
        return DONE
    if bisect:
        typer.echo(_found_by_bisection(folder, report))
    return BOUND_NOT_MET


def _found_by_bisection(folder: Path, report: Mapping[str, Any]) -> str:
    """Return in one line what makes the outputs differ."""
    source, selection = read_source(folder, report)
    target = target_of(report)
    passes = [find_pass(name) for name in report["rewrites"]]
    finding = bisection.bisect(source, target, selection, passes)
    if finding is not None:
        return bisection.finding_text(finding)
    return f"compiled again, the outputs agree: the files in {folder} are not what was compiled"


def _extent(values: npt.NDArray[Any]) -> str:
    if not values.size:
        return "empty"
    return f"from {values.min():.6g} to {values.max():.6g}"
