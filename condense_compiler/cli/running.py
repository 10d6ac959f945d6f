"""`condense run` and `condense verify`: using a folder that was compiled earlier."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from condense_compiler.artefacts import read_program, read_report, read_runnable, read_source
from condense_compiler.cli.arguments import Inputs, OutputArrays, read_feeds
from condense_compiler.cli.options import LimitChanges
from condense_compiler.cli.status import BOUND_NOT_MET, DONE
from condense_compiler.effort import check_effort
from condense_compiler.errors import InputError
from condense_compiler.report.text import difference_text
from condense_compiler.targets import Verifying
from condense_compiler.verification import random_feeds, verify

Folder = Annotated[
    Path, typer.Argument(help="Folder that `condense compile` wrote.", show_default=False)
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
    report, program = read_report(folder), read_program(folder)
    names = [tensor.name for tensor in program.network.graph.inputs]
    check_effort(program.network, program.arena_bytes, "a run")
    feeds = read_feeds(inputs, names)
    outputs = read_runnable(folder, report, program).run(feeds)
    if output is not None:
        write_arrays(output, outputs)
    for name, values in outputs.items():
        typer.echo(f"{name}: {values.dtype} {list(values.shape)}, {_extent(values)}")
    return DONE


def verify_command(
    folder: Folder,
    _limit: LimitChanges = [],  # noqa: B006 - typer wants a list, and nothing changes it
) -> int:
    """Check a compiled network: its plan, and its outputs against the model it was made from.

    Example: condense verify out
    """
    report, program = read_report(folder), read_program(folder)
    check_effort(program.network, program.arena_bytes, "verification")
    runnable = read_runnable(folder, report, program)
    feeds = random_feeds(program.network)
    if isinstance(runnable, Verifying):
        result = runnable.verify(feeds)
    else:
        result = verify(runnable.run, read_source(folder, report), feeds)
    verdict = "outputs agree" if result.passed else "outputs differ"
    memory = "arena" if report["residency"] is None else "chip memory"
    arena_bytes = report["feature_maps"]["after"]["arena_bytes"]
    typer.echo(
        f"{verdict} with {result.against}: {difference_text(result)} (tolerance "
        f"{result.tolerance:.0e}); plan valid, {memory} {arena_bytes:,} bytes"
    )
    return DONE if result.passed else BOUND_NOT_MET


def _extent(values: npt.NDArray[Any]) -> str:
    if not values.size:
        return "empty"
    return f"from {values.min():.6g} to {values.max():.6g}"


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays to an .npz file, whole or not at all.

    Raises:
        InputError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **dict(arrays))
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
