"""The text form of a binary: everything in it, one item on a line.

.machine NAME rows=16 lanes=32 ...
.memory chip=102400 dram=77550
.port input NAME address=0 pitch=480 pixels=3x160x160 zero=-2 scale=0x1.0p-6 shape=1x3x160x160
.weights 0123456789abcdef...      64 bytes in hexadecimal on each line
.code
load external_address=0 external_pitch=480 chip_address=64 chip_pitch=480 rows=160 row_bytes=480
"""

from collections.abc import Iterator
from typing import NoReturn
from urllib.parse import quote, unquote

from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.isa.binary import Binary
from condense_compiler.targets.accelerator.isa.ports import PortRecord
from condense_compiler.targets.accelerator.isa.program import from_text, to_text
from condense_compiler.targets.accelerator.machine import NUMBERS, Machine

_LINE_BYTES = 64


def disassemble(binary: Binary) -> str:
    """Return the text form of a binary."""
    return "\n".join(_lines(binary)) + "\n"


def _lines(binary: Binary) -> Iterator[str]:
    machine = binary.machine
    numbers = " ".join(f"{name}={getattr(machine, name)}" for name in NUMBERS)
    unit = str(machine.pooling_unit).lower()
    yield f".machine {quote(machine.name, safe='')} {numbers} pooling_unit={unit}"
    yield f".memory chip={binary.chip_bytes} dram={binary.dram_bytes}"
    for port in binary.ports:
        direction = "output" if port.is_output else "input"
        yield (
            f".port {direction} {quote(port.name, safe='')} address={port.address} "
            f"pitch={port.pitch} pixels={_by(port.pixels)} zero={port.zero} "
            f"scale={port.scale.hex()} shape={_by(port.shape)}"
        )
    for first in range(0, len(binary.weights), _LINE_BYTES):
        yield f".weights {binary.weights[first : first + _LINE_BYTES].hex()}"
    yield ".code"
    yield from to_text(binary.program)


def _by(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def assemble(text: str) -> Binary:
    """Read the text form of a binary.

    Raises:
        InputError: A line cannot be read.
    """
    lines = text.splitlines()
    if ".code" not in lines:
        raise InputError("assembly: has no line .code")
    code = lines.index(".code")
    machine: Machine | None = None
    sizes: tuple[int, int] | None = None
    ports, weights = [], bytearray()
    for number, line in enumerate(lines[:code], 1):
        directive, *words = line.split()
        try:
            if directive == ".machine":
                machine = _machine(words)
            elif directive == ".memory":
                fields = _fields(words)
                sizes = (int(fields["chip"]), int(fields["dram"]))
            elif directive == ".port":
                ports.append(_port(words))
            elif directive == ".weights":
                weights += bytes.fromhex(words[0])
            else:
                _refuse(number, line)
        except (KeyError, ValueError, IndexError, OverflowError):
            _refuse(number, line)
    if machine is None or sizes is None:
        raise InputError("assembly: lines .machine and .memory are needed")
    program = tuple(from_text(lines[code + 1 :], code + 2))
    return Binary(machine, *sizes, bytes(weights), program, tuple(ports))


def _refuse(number: int, line: str) -> NoReturn:
    raise InputError(f"line {number}: cannot read {line[:80]!r}") from None


def _fields(words: list[str]) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _machine(words: list[str]) -> Machine:
    fields = _fields(words[1:])
    numbers = {name: int(fields[name]) for name in NUMBERS}
    unit = {"true": True, "false": False}[fields["pooling_unit"]]
    return Machine(**numbers, pooling_unit=unit, name=unquote(words[0]))


def _port(words: list[str]) -> PortRecord:
    direction, name, *rest = words
    fields = _fields(rest)
    channels, height, width = map(int, fields["pixels"].split("x"))
    return PortRecord(
        name=unquote(name),
        is_output={"input": False, "output": True}[direction],
        address=int(fields["address"]),
        pitch=int(fields["pitch"]),
        pixels=(channels, height, width),
        zero=int(fields["zero"]),
        scale=float.fromhex(fields["scale"]),
        shape=tuple(int(size) for size in fields["shape"].split("x") if size),
    )
