"""Writes the tables of the instruction set from its specification, for docs/accelerator.md."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from condense_compiler.targets.accelerator.isa.buffers import PARAMETER_LAYOUT
from condense_compiler.targets.accelerator.isa.fields import Field, Group
from condense_compiler.targets.accelerator.isa.instruction import Instruction
from condense_compiler.targets.accelerator.isa.table import END_OPCODE, INSTRUCTIONS

Part = Field | Group[Any]
_HEADING = "| bits | field | values | meaning |\n|---|---|---|---|"


def tables() -> str:
    """Return the tables: all instructions, each one's fields, and the records in them."""
    parts = [*_overview(), "", *_shared(INSTRUCTIONS)]
    for fields, alike in groupby(INSTRUCTIONS, lambda row: row.layout.parts[1:]):
        sentences = (f"`{row.name}`: {_sentence(row.record)}" for row in alike)
        parts += ["", "  \n".join(sentences), "", _HEADING, *(_row(part, 0) for part in fields)]
    for layout in _records():
        parts += ["", f"*{_title(layout)}*: {_sentence(layout.record)}", "", _HEADING]
        parts += [_row(part, layout.offset) for part in layout.parts]
    return "\n".join(parts)


def _overview() -> Iterator[str]:
    yield "| instruction | opcode | queue | bytes | reads | writes |"
    yield "|---|---|---|---|---|---|"
    for row in INSTRUCTIONS:
        reads, writes = ", ".join(row.reads), ", ".join(row.writes)
        yield (
            f"| `{row.name}` | {row.opcode:#04x} | {row.queue.name.lower()} | {row.size_bytes} "
            f"| {reads} | {writes} |"
        )
    yield f"| end of the program | {END_OPCODE:#04x} | | 8 | | |"


def _shared(rows: tuple[Instruction[Any], ...]) -> Iterator[str]:
    """Return the first field, which all have."""
    yield "Behind the opcode, all instructions have:"
    yield ""
    yield _HEADING
    (row,) = {_row(row.layout.parts[0], 0) for row in rows}
    yield row


def _records() -> Iterator[Group[Any]]:
    """Yield each record that stands in others once, and what the weight buffer has of them."""
    known: dict[type, Group[Any]] = {}
    waiting: list[Part] = [part for row in INSTRUCTIONS for part in row.layout.parts]
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, Group):
            waiting += part.parts
            if part.record is not None:
                known.setdefault(part.record, part)
    yield from known.values()
    yield PARAMETER_LAYOUT


def _row(part: Part, origin: int) -> str:
    first, last = part.offset - origin, part.offset - origin + part.bits - 1
    bits = f"{first}" if first == last else f"{first} … {last}"
    return f"| {bits} | `{part.name.rpartition('.')[2]}` | {_values(part)} | {part.meaning} |"


def _values(part: Part) -> str:
    if isinstance(part, Field):
        return part.kind.values
    if part.record is not None:
        return f"*{_title(part)}*"
    return f"{len(part.parts)} numbers of {part.parts[0].bits} bits: {_values(part.parts[0])}"


def _title(layout: Group[Any]) -> str:
    assert layout.record is not None
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", layout.record.__name__).lower()


def _sentence(record: type | None) -> str:
    text = (record.__doc__ or "").partition("\n")[0]
    return text[0].lower() + text[1:]
