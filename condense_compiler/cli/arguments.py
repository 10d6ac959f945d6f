"""Reading what people write on the command line."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy.typing as npt
import typer

from condense_compiler.arrays import read_arrays
from condense_compiler.errors import InputError
from condense_compiler.limits import LIMIT_NAMES
from condense_compiler.network.fixed_values import read_value

# Options of every command that runs a network.
Inputs = Annotated[
    list[str],
    typer.Option(
        "--input", metavar="NAME=X.npy", help="Input; may be repeated.", show_default=False
    ),
]
OutputArrays = Annotated[
    Path | None,
    typer.Option(help="File for the outputs, .npz; - is standard output.", show_default=False),
]

_UNITS: Mapping[str, int] = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
_POWER = re.compile(r"(\d+)[eE](\d{1,2})")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)")


def parse_bytes(option: str, text: str | None) -> int | None:
    """Read a size such as 524288, 512KiB or 1.5MB, in bytes.

    Raises:
        InputError: It is not a size.
    """
    if text is None:
        return None
    match = _SIZE.fullmatch(text.strip())
    if match is None or match[2].lower() not in _UNITS:
        raise InputError(f"{option} {text!r} is not a size; write bytes, or 512KiB, 1.5MB, ...")
    return (
        int(float(match[1]) * _UNITS[match[2].lower()])
        if "." in match[1]
        else (int(match[1]) * _UNITS[match[2].lower()])
    )


def parse_dims(pairs: Sequence[str]) -> dict[str, int]:
    """Read `--dim NAME=N` options.

    Raises:
        InputError: One has no name or no positive number, or a name is given twice.
    """
    dims: dict[str, int] = {}
    for pair in pairs:
        name, _, number = pair.rpartition("=")
        if not name or not number.isdigit() or int(number) < 1:
            raise InputError(f"--dim {pair!r}: write NAME=N with a positive number, as in batch=1")
        if name in dims:
            raise InputError(f"--dim {name!r} is given twice")
        dims[name] = int(number)
    return dims


def parse_values(pairs: Sequence[str]) -> dict[str, object]:
    """Read `--set NAME=VALUE` options.

    Raises:
        InputError: One has no name or no value, or a name is given twice.
    """
    values: dict[str, object] = {}
    for pair in pairs:
        name, separator, text = pair.rpartition("=")
        try:
            value = read_value(text)
        except ValueError:
            separator = ""
            value = None
        if not name or not separator:
            raise InputError(
                f"--set {pair!r}: write NAME=VALUE with a number, true or false, or a list, "
                "as in training=false"
            )
        if name in values:
            raise InputError(f"--set {name!r} is given twice")
        values[name] = value
    return values


def parse_options(pairs: Sequence[str], **named: str | None) -> dict[str, str]:
    """Read `--option NAME=VALUE` options of a target, and those that have a flag of their own.

    Raises:
        InputError: One has no name, or is given twice.
    """
    options = {name: value for name, value in named.items() if value is not None}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not name or not separator:
            raise InputError(f"--option {pair!r}: write NAME=VALUE")
        if name in options:
            raise InputError(f"option {name!r} is given twice")
        options[name] = value
    return options


def read_feeds(pairs: Sequence[str], names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Read `--input NAME=x.npy` options; the name may be left out where there is one input.

    Raises:
        InputError: A file cannot be read, or a name is missing.
    """
    feeds: dict[str, npt.NDArray[Any]] = {}
    for pair in pairs:
        name, separator, file = pair.rpartition("=")
        if not separator:
            if len(names) != 1:
                raise InputError(f"--input {pair!r}: write NAME=FILE; names: {', '.join(names)}")
            name = names[0]
        feeds[name] = _read_array(Path(file))
    return feeds


def input_files(pairs: Sequence[str]) -> list[Path]:
    """Return the files that `--input` options name."""
    return [Path(pair.rpartition("=")[2]) for pair in pairs]


def _read_array(path: Path) -> npt.NDArray[Any]:
    loaded = read_arrays(path)
    if isinstance(loaded, dict):
        raise InputError(f"{path}: holds several arrays; give one .npy file for each input")
    return loaded


def parse_limits(pairs: Sequence[str]) -> dict[str, int]:
    """Read `--limit NAME=N` options; N may have a unit, as in 4GiB, or be written 1e12.

    Raises:
        InputError: One has no name or no number.
    """
    changes: dict[str, int] = {}
    for pair in pairs:
        name, separator, amount = pair.partition("=")
        if not name or not separator:
            raise InputError(f"--limit {pair!r}: write NAME=N; names: {', '.join(LIMIT_NAMES)}")
        powers = _POWER.fullmatch(amount.strip())
        number = int(powers[1]) * 10 ** int(powers[2]) if powers else None
        changes[name] = number or parse_bytes(f"--limit {name}", amount) or 0
    return changes
