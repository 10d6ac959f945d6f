"""Inputs and outputs of a program: where in DRAM their codes lie, and what the codes mean."""

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from condense_compiler.errors import InputError

# direction, length of the name, rank, address, pitch, channels, height, width, zero, scale
_LAYOUT = struct.Struct("<BBBxIIIIIid")
_DIMENSION = struct.Struct("<I")
_MOST_RANK = 4


@dataclass(frozen=True, slots=True)
class PortRecord:
    """An input or output.

    Attributes:
        name: Name in the network.
        is_output: Whether it is an output.
        address: First byte of its codes in DRAM.
        pitch: Bytes from one row to the next.
        pixels: Channels, height, width.
        zero: Code of the value zero.
        scale: Value of one step.
        shape: Shape in the network.
    """

    name: str
    is_output: bool
    address: int
    pitch: int
    pixels: tuple[int, int, int]
    zero: int
    scale: float
    shape: tuple[int, ...]


def encode_ports(ports: Iterable[PortRecord]) -> bytes:
    """Return ports as bytes."""
    content = b""
    for port in ports:
        name = port.name.encode()
        if len(name) > 255:
            raise InputError(f"{port.name}: a name of more than 255 bytes")
        content += _LAYOUT.pack(
            port.is_output,
            len(name),
            len(port.shape),
            port.address,
            port.pitch,
            *port.pixels,
            port.zero,
            port.scale,
        )
        content += name + b"".join(_DIMENSION.pack(size) for size in port.shape)
    return content


def decode_ports(content: bytes) -> tuple[PortRecord, ...]:
    """Read ports back.

    Raises:
        InputError: They are damaged.
    """
    ports, offset = [], 0
    while offset < len(content):
        port, offset = _decode_one(content, offset)
        ports.append(port)
    if len({port.name for port in ports}) != len(ports):
        raise InputError("binary: two ports have one name")
    return tuple(ports)


def _decode_one(content: bytes, offset: int) -> tuple[PortRecord, int]:
    if len(content) < offset + _LAYOUT.size:
        raise InputError("binary: ends within a port")
    direction, length, rank, address, pitch, *pixels, zero, scale = _LAYOUT.unpack_from(
        content, offset
    )
    name_end = offset + _LAYOUT.size + length
    end = name_end + rank * _DIMENSION.size
    if direction > 1 or rank > _MOST_RANK or end > len(content) or content[offset + 3]:
        raise InputError("binary: a port is damaged")
    try:
        name = content[offset + _LAYOUT.size : name_end].decode()
    except ValueError:
        raise InputError("binary: the name of a port is not text") from None
    shape = tuple(size for (size,) in _DIMENSION.iter_unpack(content[name_end:end]))
    if math.prod(shape) != math.prod(pixels) or not (math.isfinite(scale) and scale > 0):
        raise InputError(f"binary: port {name!r} is damaged")
    channels, height, width = pixels
    if min(pixels) < 1 or pitch < channels * width or not -(1 << 10) <= zero <= 1 << 10:
        raise InputError(f"binary: port {name!r} is damaged")
    record = PortRecord(
        name, bool(direction), address, pitch, (channels, height, width), zero, scale, shape
    )
    return record, end
