"""A placement as two CSV files: which operator runs when, and where each feature map lies."""

import csv
from collections.abc import Mapping
from pathlib import Path

from condense_compiler.errors import InputError
from condense_compiler.memory.layout import Steps
from condense_compiler.memory.placement import Placement
from condense_compiler.memory.sharing import Sharing
from condense_compiler.network.tensors import tensor_bytes

STEP_COLUMNS = ("step", "operator", "addition")
TENSOR_COLUMNS = ("tensor", "offset", "size")


def write_steps(path: Path, sharing: Sharing, placement: Placement) -> None:
    """Write the order: the operator of each step, and the addition that it accumulates into."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(STEP_COLUMNS)
        for step, operators in enumerate(placement.steps):
            names = [sharing.order[number].name for number in operators]
            writer.writerow([step, names[0], names[1] if len(names) > 1 else ""])


def write_tensors(path: Path, sharing: Sharing, placement: Placement) -> None:
    """Write offset and size of every feature map, in bytes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(TENSOR_COLUMNS)
        for name, offset in placement.offsets.items():
            writer.writerow([name, offset, tensor_bytes(sharing.tensors[name])])


def read_steps(path: Path, sharing: Sharing) -> Steps:
    """Read the order that `write_steps` wrote.

    Raises:
        InputError: The file cannot be read, or does not order the operators of the network.
    """
    positions = {node.name: number for number, node in enumerate(sharing.order)}
    rows = _read(path, STEP_COLUMNS)
    try:
        steps = [
            tuple(positions[row[key]] for key in ("operator", "addition") if row[key])
            for row in rows
        ]
    except KeyError as error:
        raise InputError(f"{path}: the model has no operator {error.args[0]!r}") from error
    expected = [number for number in range(len(sharing.order)) if number not in sharing.idle]
    if sorted(number for step in steps for number in step) != expected:
        raise InputError(f"{path}: does not list every operator of the model once")
    return steps


def read_tensors(path: Path) -> Mapping[str, int]:
    """Read the offsets that `write_tensors` wrote, in bytes by tensor name.

    Raises:
        InputError: The file cannot be read, or holds something else.
    """
    rows = _read(path, TENSOR_COLUMNS)
    try:
        return {row["tensor"]: int(row["offset"]) for row in rows}
    except ValueError as error:
        raise InputError(f"{path}: an offset is not a number: {error}") from error


def _read(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            found = tuple(reader.fieldnames or ())
            rows = [{key: value or "" for key, value in row.items() if key} for row in reader]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; compile the model again") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not valid CSV: {error}; compile the model again") from error
    if found != columns:
        raise InputError(f"{path}: expected the columns {','.join(columns)}")
    return rows
