"""Buffers and plans as CSV files: columns `id,lower,upper,size` and optional ones, in any order."""

import csv
import io
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from condense_compiler.errors import InputError
from condense_compiler.files import write_file
from condense_compiler.memory.buffers import Buffer, Plan

if TYPE_CHECKING:
    from _csv import Reader, Writer

REQUIRED = ("id", "lower", "upper", "size")
OPTIONAL = ("alignment", "pinned", "gaps")
_LARGEST = 2**60


def read_buffers(path: str | os.PathLike[str]) -> list[Buffer]:
    """Read buffers from a CSV file with the columns `id,lower,upper,size` in any order.

    Optional columns: `alignment` in bytes; `pinned`, an offset in bytes; `gaps`, half-open parts
    of the lifetime such as `3-5;8-9`. An empty cell means "none"; other columns are ignored, so
    that a plan can be read back.

    Args:
        path: The file.

    Returns:
        The buffers in the order of the file.

    Raises:
        InputError: The file cannot be used; the message says what, where and what to do.
    """
    name = os.fspath(path)
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            return list(_buffers(name, csv.reader(file, strict=True)))
    except OSError as error:
        raise InputError(f"{name}: cannot read it: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not a text file: expected CSV in UTF-8") from error


def read_offsets(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read the offsets of a plan that `write_plan` wrote, in bytes by buffer id.

    Raises:
        InputError: The file cannot be used, or has no offsets.
    """
    name = os.fspath(path)
    read_buffers(path)  # refuses everything that is not a table of buffers
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if "offset" not in (rows.fieldnames or ()):
            raise InputError(f"{name}, line 1: no column 'offset': give a plan, not a problem")
        try:
            return {row["id"]: int(row["offset"]) for row in rows}
        except (TypeError, ValueError) as error:
            raise InputError(f"{name}, line {rows.line_num}: offset is not a number") from error


def _buffers(name: str, reader: "Reader") -> Iterator[Buffer]:
    rows = _rows(name, reader)
    header = next(rows, None)
    if header is None:
        raise InputError(f"{name}: the file is empty: expected a line {','.join(REQUIRED)}")
    columns = _columns(name, header[1])
    width = len(header[1])
    lines: dict[str, int] = {}
    for line, row in rows:
        if len(row) != width:
            raise InputError(
                f"{name}, line {line}: {len(row)} values, but the header has {width} columns"
            )
        try:
            buffer = _buffer({column: row[index].strip() for column, index in columns.items()})
        except ValueError as error:
            raise InputError(f"{name}, line {line}: {error}") from error
        first = lines.setdefault(buffer.id, line)
        if first != line:
            raise InputError(
                f"{name}, line {line}: id {buffer.id!r} is already used in line {first}: "
                "give each buffer its own"
            )
        yield buffer
    if not lines:
        raise InputError(f"{name}: no buffers below the header: add a line for each")


def _rows(name: str, reader: "Reader") -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, with their line numbers."""
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: not valid CSV: {error}") from error


def _columns(name: str, header: list[str]) -> dict[str, int]:
    titles = [title.strip().lower() for title in header]
    for title in REQUIRED:
        if title not in titles:
            raise InputError(
                f"{name}, line 1: no column {title!r}: the header must name {','.join(REQUIRED)}"
            )
    known = [title for title in titles if title in REQUIRED + OPTIONAL]
    for title in known:
        if known.count(title) > 1:
            raise InputError(f"{name}, line 1: column {title!r} appears twice: remove one")
    return {title: titles.index(title) for title in known}


def _buffer(cells: dict[str, str]) -> Buffer:
    """Build a buffer from its cells; raises ValueError with what is wrong and what to do."""
    if not cells["id"]:
        raise ValueError("id is empty: give the buffer a name")
    lower, upper = _integer(cells, "lower"), _integer(cells, "upper")
    size = _integer(cells, "size")
    if lower >= upper:
        raise ValueError(f"lower {lower} must be less than upper {upper}: lifetimes are half-open")
    if size < 0:
        raise ValueError(f"size {size} is negative: give bytes, 0 or more")
    if len(cells) == len(REQUIRED):
        return Buffer(cells["id"], lower, upper, size)
    alignment = _integer(cells, "alignment") if cells.get("alignment") else 1
    if alignment < 1:
        raise ValueError(f"alignment {alignment} must be 1 or more")
    pinned = _integer(cells, "pinned") if cells.get("pinned") else None
    if pinned is not None and (pinned < 0 or pinned % alignment):
        raise ValueError(f"pinned {pinned} must be a multiple of the alignment {alignment}, from 0")
    gaps = _gaps(cells.get("gaps", ""), lower, upper)
    return Buffer(cells["id"], lower, upper, size, alignment, pinned, gaps)


def _integer(cells: dict[str, str], column: str) -> int:
    text = cells[column]
    try:
        value = int(text)
    except ValueError:
        shown = text if len(text) <= 40 else text[:40] + "…"
        raise ValueError(f"{column} {shown!r} is not an integer: write digits only") from None
    if abs(value) > _LARGEST:
        raise ValueError(f"{column} {text[:40]} is out of range: the largest value is 2^60")
    return value


def _gaps(text: str, lower: int, upper: int) -> tuple[tuple[int, int], ...]:
    gaps: list[tuple[int, int]] = []
    end = lower
    for part in text.split(";") if text else []:
        first, dash, last = part.strip().partition("-")
        if not (dash and first.isdecimal() and last.isdecimal()):
            raise ValueError(f"gaps {text!r} are not written like 3-5;8-9")
        gap = (int(first), int(last))
        if gap[0] < end or gap[0] >= gap[1] or gap[1] > upper:
            raise ValueError(f"gaps {text!r} must rise and lie within {lower}-{upper}")
        gaps.append(gap)
        end = gap[1]
    if sum(last - first for first, last in gaps) == upper - lower:
        raise ValueError(f"gaps {text!r} leave nothing of the lifetime {lower}-{upper}")
    return tuple(gaps)


def write_plan(
    path: str | os.PathLike[str],
    buffers: Sequence[Buffer],
    plan: Plan,
    kept: Collection[Path] = (),
) -> None:
    """Write the buffers with their offsets as CSV; the file appears whole or not at all.

    Args:
        path: The file to write or replace.
        buffers: What was placed.
        plan: Where it was placed.
        kept: What must not be written over.

    Raises:
        InputError: The file cannot or must not be written.
    """
    text = io.StringIO()
    _write(csv.writer(text, lineterminator="\n"), buffers, plan)
    write_file(Path(path), text.getvalue(), kept)


def _write(writer: "Writer", buffers: Sequence[Buffer], plan: Plan) -> None:
    optional = [
        column
        for column, used in (
            ("alignment", any(buffer.alignment != 1 for buffer in buffers)),
            ("pinned", any(buffer.pinned is not None for buffer in buffers)),
            ("gaps", any(buffer.gaps for buffer in buffers)),
        )
        if used
    ]
    writer.writerow([*REQUIRED, *optional, "offset"])
    for buffer in buffers:
        cells: dict[str, object] = {
            "alignment": buffer.alignment,
            "pinned": "" if buffer.pinned is None else buffer.pinned,
            "gaps": ";".join(f"{lower}-{upper}" for lower, upper in buffer.gaps),
        }
        writer.writerow(
            [
                buffer.id,
                buffer.lower,
                buffer.upper,
                buffer.size,
                *(cells[column] for column in optional),
                plan.offsets[buffer.id],
            ]
        )
