"""The binary file: header, table of sections, sections; everything under a checksum.

Header: magic "CNDS", version (16 bits), number of sections (16 bits), total size (32 bits),
checksum of the header up to here and of the table (32 bits). Table: for each section number,
offset, size and checksum, 32 bits each. Sections stand in the order of `Section`, one right
behind the other. All numbers are little-endian; checksums are CRC-32 as in zlib.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.isa.instruction import Start
from condense_compiler.targets.accelerator.isa.ports import PortRecord, decode_ports, encode_ports
from condense_compiler.targets.accelerator.isa.program import decode, encode
from condense_compiler.targets.accelerator.machine import NUMBERS, Machine

MAGIC, VERSION = b"CNDS", 3
_HEADER = struct.Struct("<4sHHII")
_ENTRY = struct.Struct("<IIII")
_MACHINE = struct.Struct(f"<{len(NUMBERS)}IB")
_MEMORY = struct.Struct("<II")
_MOST_NAME_BYTES = 255
MOST_DRAM_BYTES = 1 << 30


class Section(IntEnum):
    """Sections in their order."""

    MACHINE = 1
    MEMORY = 2
    WEIGHTS = 3
    INSTRUCTIONS = 4
    PORTS = 5


@dataclass(frozen=True, slots=True)
class Binary:
    """A program for the accelerator.

    Attributes:
        machine: What it was compiled for.
        chip_bytes: Feature-map memory that it uses.
        dram_bytes: DRAM that it uses for feature maps.
        weights: What `LOAD_WEIGHTS` reads.
        program: The instructions.
        ports: Inputs and outputs.
    """

    machine: Machine
    chip_bytes: int
    dram_bytes: int
    weights: bytes
    program: tuple[Start, ...]
    ports: tuple[PortRecord, ...]


def to_bytes(binary: Binary) -> bytes:
    """Return the file's content."""
    sections = {
        Section.MACHINE: _encode_machine(binary.machine),
        Section.MEMORY: _MEMORY.pack(binary.chip_bytes, binary.dram_bytes),
        Section.WEIGHTS: binary.weights,
        Section.INSTRUCTIONS: encode(binary.program),
        Section.PORTS: encode_ports(binary.ports),
    }
    offset = _HEADER.size + len(sections) * _ENTRY.size
    table = b""
    for section, content in sections.items():
        table += _ENTRY.pack(section, offset, len(content), zlib.crc32(content))
        offset += len(content)
    start = struct.pack("<4sHHI", MAGIC, VERSION, len(sections), offset)
    checksum = struct.pack("<I", zlib.crc32(start + table))
    return b"".join((start, checksum, table, *sections.values()))


def from_bytes(content: bytes) -> Binary:
    """Read a file's content.

    Raises:
        InputError: It is not a binary of this version, or is damaged.
    """
    sections = _split(content)
    if len(sections[Section.MEMORY]) != _MEMORY.size:
        raise InputError("binary: the memory section has another size")
    chip_bytes, dram_bytes = _MEMORY.unpack(sections[Section.MEMORY])
    machine = _decode_machine(sections[Section.MACHINE])
    if chip_bytes > machine.feature_map_bytes or dram_bytes > MOST_DRAM_BYTES:
        raise InputError("binary: needs more memory than the machine has")
    return Binary(
        machine=machine,
        chip_bytes=chip_bytes,
        dram_bytes=dram_bytes,
        weights=sections[Section.WEIGHTS],
        program=tuple(decode(sections[Section.INSTRUCTIONS])),
        ports=decode_ports(sections[Section.PORTS]),
    )


def _split(content: bytes) -> dict[Section, bytes]:
    if len(content) < _HEADER.size or content[:4] != MAGIC:
        raise InputError("binary: not a program for the accelerator")
    _, version, count, total, checksum = _HEADER.unpack_from(content)
    if version != VERSION:
        raise InputError(f"binary: version {version}; this compiler reads version {VERSION}")
    if count != len(Section) or total != len(content):
        raise InputError(f"binary: {len(content)} bytes, but its header says {total}")
    table_end = _HEADER.size + count * _ENTRY.size
    if len(content) < table_end:
        raise InputError("binary: ends within its table of sections")
    table = content[_HEADER.size : table_end]
    if zlib.crc32(content[: _HEADER.size - 4] + table) != checksum:
        raise InputError("binary: the checksum of its header is wrong")
    sections, offset = {}, table_end
    for section, entry in zip(Section, _ENTRY.iter_unpack(table), strict=True):
        number, start, size, expected = entry
        if number != section or start != offset or start + size > len(content):
            raise InputError(f"binary: section {section.name.lower()} is out of place")
        sections[section] = content[start : start + size]
        offset += size
        if zlib.crc32(sections[section]) != expected:
            raise InputError(f"binary: the checksum of section {section.name.lower()} is wrong")
    if offset != len(content):
        raise InputError("binary: bytes behind its last section")
    return sections


def _encode_machine(machine: Machine) -> bytes:
    numbers = (getattr(machine, name) for name in NUMBERS)
    return _MACHINE.pack(*numbers, machine.pooling_unit) + machine.name.encode()[:_MOST_NAME_BYTES]


def _decode_machine(content: bytes) -> Machine:
    if not _MACHINE.size <= len(content) <= _MACHINE.size + _MOST_NAME_BYTES:
        raise InputError("binary: the machine section has another size")
    *numbers, pooling_unit = _MACHINE.unpack_from(content)
    if pooling_unit > 1:
        raise InputError("binary: the machine section is damaged")
    try:
        name = content[_MACHINE.size :].decode()
    except ValueError:
        raise InputError("binary: the machine's name is not text") from None
    values = dict(zip(NUMBERS, numbers, strict=True))
    return Machine(**values, pooling_unit=bool(pooling_unit), name=name)
