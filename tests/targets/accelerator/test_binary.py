"""Binaries: round trips, and damage of every kind."""

import math
import random
import struct
import zlib
from dataclasses import replace

import pytest

from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.isa.binary import from_bytes, to_bytes
from condense_compiler.targets.accelerator.isa.convolution import Convolve
from condense_compiler.targets.accelerator.isa.instruction import OPCODE_BITS, WORD_BITS
from condense_compiler.targets.accelerator.isa.maps import Combine
from condense_compiler.targets.accelerator.isa.program import decode, encode, from_text, to_text
from condense_compiler.targets.accelerator.isa.records import NO_WAITS, Limits, Waits
from condense_compiler.targets.accelerator.isa.table import INSTRUCTIONS
from condense_compiler.targets.accelerator.isa.text import assemble, disassemble
from condense_compiler.targets.accelerator.isa.transfers import Load
from condense_compiler.targets.accelerator.simulator.program import decode_program, memory_sizes
from condense_compiler.targets.accelerator.simulator.simulate import simulate

HEADER_BYTES = ENTRY_BYTES = 16
FLIPS = 10_000
JOINS = "mobilenetv3_small_050"  # sums and products of two maps


@pytest.fixture(scope="module")
def binary(lowered):
    return lowered("ccp_mean_sum_min", feature_maps="dram").code.binary


@pytest.fixture(scope="module")
def content(binary) -> bytes:
    return to_bytes(binary)


def test_bytes_come_back(binary, content) -> None:
    assert from_bytes(content) == binary


def test_text_comes_back(binary) -> None:
    text = disassemble(binary)
    assert assemble(text) == binary
    assert disassemble(assemble(text)) == text


@pytest.mark.parametrize("instruction", INSTRUCTIONS, ids=lambda each: each.name)
def test_every_field_comes_back_from_bits_and_text(instruction) -> None:
    """Random values of every field: a record is what its bits and its text say, and no more."""
    generator = random.Random(7)  # noqa: S311 - no secret
    layout = instruction.layout
    for _ in range(50):
        start = layout.unpack(sum(_random_bits(field, generator) for field in layout.fields()))
        assert list(decode(encode([start]))) == [start]
        assert list(from_text(to_text([start]))) == [start]


def _random_bits(field, generator: random.Random) -> int:
    """Return bits of a field that stand for a value."""
    while True:
        word = generator.getrandbits(field.bits) << field.offset
        try:
            field.unpack(word)
        except InputError:
            continue
        return word


@pytest.mark.parametrize("instruction", INSTRUCTIONS, ids=lambda each: each.name)
def test_fields_stand_side_by_side(instruction) -> None:
    end = OPCODE_BITS
    for field in instruction.layout.fields():
        assert field.offset == end
        assert field.meaning or "." in field.name
        end += field.bits
    assert 8 * instruction.size_bytes - WORD_BITS < end <= 8 * instruction.size_bytes


def test_flipped_bits_are_noticed(content) -> None:
    generator = random.Random(5)  # noqa: S311 - no secret
    for _ in range(FLIPS):
        damaged = bytearray(content)
        damaged[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        with pytest.raises(InputError):
            from_bytes(bytes(damaged))


def _decode(content: bytes) -> None:
    decode_program(from_bytes(content))


def test_flipped_bits_under_a_right_checksum_do_no_harm(binary) -> None:
    """The program is read, or refused; nothing else happens, and no operand leaves its memory."""
    generator = random.Random(6)  # noqa: S311 - no secret
    program, content = encode(binary.program), to_bytes(binary)
    sizes, refused = memory_sizes(binary), 0
    for _ in range(500):
        damaged = bytearray(program)
        damaged[generator.randrange(len(program))] ^= 1 << generator.randrange(8)
        try:
            issues = decode_program(from_bytes(_with_program(content, program, bytes(damaged))))
        except InputError:
            refused += 1
            continue
        for issue in issues:
            for area in (*issue.access.reads.values(), *issue.access.writes.values()):
                area.check(sizes[area.memory])
    assert refused > 250


def _with_program(content: bytes, program: bytes, other: bytes) -> bytes:
    """Return a file with another program of the same size, under right checksums."""
    first = content.index(program)
    changed = bytearray(content)
    changed[first : first + len(program)] = other
    table = HEADER_BYTES + 3 * ENTRY_BYTES  # machine, memory, weights, program
    struct.pack_into("<I", changed, table + 12, zlib.crc32(other))
    head = bytes(changed[: HEADER_BYTES - 4])
    entries = bytes(changed[HEADER_BYTES : HEADER_BYTES + 5 * ENTRY_BYTES])
    struct.pack_into("<I", changed, HEADER_BYTES - 4, zlib.crc32(head + entries))
    return bytes(changed)


@pytest.mark.parametrize("size", [0, 3, 15, 16, 40, 95, 200, -1, -9])
def test_truncated_binaries_are_refused(content, size: int) -> None:
    with pytest.raises(InputError, match="binary"):
        from_bytes(content[:size])


def test_other_sizes_and_versions_are_refused(content) -> None:
    with pytest.raises(InputError, match="header says"):
        from_bytes(content + b"\0")
    with pytest.raises(InputError, match="version 4"):
        from_bytes(content[:4] + struct.pack("<H", 4) + content[6:])
    with pytest.raises(InputError, match="not a program"):
        from_bytes(b"ONNX" + content[4:])


def test_checksums_are_those_of_zlib(content) -> None:
    offset, size, checksum = struct.unpack_from("<III", content, 16 + 4)
    assert zlib.crc32(content[offset : offset + size]) == checksum


@pytest.mark.parametrize(
    "text",
    ["", ".code", ".machine x\n.code", "set\n", ".memory chip=1 dram=x\n.code\nend"],
)
def test_text_that_is_no_program_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        assemble(text)


def _changed(binary, change):
    """Return a binary whose instructions went through a function; some are others then."""
    program = tuple(map(change, binary.program))
    assert program != binary.program
    return replace(binary, program=program)


def test_missing_barriers_are_found(lowered, feeds_of) -> None:
    program = lowered("ccp_mean_sum_min", feature_maps="dram")
    unordered = _changed(program.code.binary, lambda start: replace(start, waits=NO_WAITS))
    with pytest.raises(InputError, match="barrier is missing"):
        simulate(unordered, feeds_of(program))


def test_reading_what_was_never_written_is_found(lowered, feeds_of) -> None:
    program = lowered("ccp_mean_sum_min")
    binary = program.code.binary
    first = next(start for start in binary.program if isinstance(start, Load))
    kept = tuple(
        replace(start, waits=replace(start.waits, loads=max(start.waits.loads, 1) - 1))
        for start in binary.program
        if start is not first
    )
    with pytest.raises(InputError, match="never written"):
        simulate(replace(binary, program=kept), feeds_of(program))


def test_a_barrier_that_waits_for_ever_is_refused(binary) -> None:
    forever = replace(binary.program[0], waits=Waits(stores=1000))
    with pytest.raises(InputError, match="waits for 1000"):
        decode_program(replace(binary, program=(forever, *binary.program[1:])))


def _with_field(binary, record: type, path: str, value: object):
    """Return a binary in which a field of all instructions of a kind holds another value."""

    def change(start: object) -> object:
        return _with(start, path.split("."), value) if isinstance(start, record) else start

    return _changed(binary, change)


def _with(record, path: list[str], value):
    if not path:
        return value
    name, *rest = path
    if isinstance(record, tuple):
        number = int(name)
        return (*record[:number], _with(record[number], rest, value), *record[number + 1 :])
    return replace(record, **{name: _with(getattr(record, name), rest, value)})


@pytest.mark.parametrize(
    ("record", "path", "value", "message"),
    [
        (Convolve, "pooling.averaging.input_scale", 0.0, "input_scale: 0.0 is not between"),
        (Convolve, "pooling.averaging.output_scale", math.inf, "inf is not between"),
        (Convolve, "pooling.averaging.output_scale", -1.0, "-1.0 is not between"),
        (Convolve, "pooling.averaging.divisor", "three", "divisor: three is not one of"),
        (Convolve, "pooling.averaging.order", "diagonals", "order: diagonals is not one of"),
        (Convolve, "pooling.averaging.least", 1 << 12, "least: 4,096 is not between"),
        (Convolve, "limits", Limits(lower=5, upper=4), "limits in their order"),
        (Convolve, "wide_channels", 1, "wide channels in whole groups"),
        (Convolve, "window.pads.0", 9, "an output of the window's size"),
        (Convolve, "window.kernel.1", 0, "kernel.1: 0 is not between 1 and"),
        (Convolve, "weight_bits", 3, "weight_bits: 3 is not one of"),
        (Load, "rows", 1 << 24, "rows: 16,777,216 is not between"),
        (Load, "chip_address", 1 << 31, "bytes up to"),
    ],
)
def test_fields_that_make_no_sense_are_refused(binary, record, path, value, message) -> None:
    with pytest.raises(InputError, match=message):
        decode_program(_with_field(binary, record, path, value))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("joining.numbers.0", math.inf, "numbers.0: inf is not between"),
        ("joining.numbers.1", math.nan, "numbers.1: nan is not between"),
        ("joining.numbers.2", 1e38, "numbers.2: 1e.38 is not between"),
        ("joining.zeros.1", 1 << 12, "zeros.1: 4,096 is not between"),
        ("joining.least", 1 << 12, "least: 4,096 is not between"),
        ("joining.kind", "subtract", "kind: subtract is not one of"),
        ("other.channels", 1, "as many channels in both maps"),
    ],
)
def test_two_maps_that_cannot_be_joined_are_refused(lowered, path, value, message) -> None:
    with pytest.raises(InputError, match=message):
        decode_program(_with_field(lowered(JOINS).code.binary, Combine, path, value))


def test_a_maximum_needs_a_scale_to_divide_by(lowered) -> None:
    binary = _with_field(lowered(JOINS).code.binary, Combine, "joining.kind", "max")
    with pytest.raises(InputError, match="a scale to divide by"):
        decode_program(_with_field(binary, Combine, "joining.numbers.2", 0.0))


def test_a_machine_without_the_unit_pools_no_channels(binary) -> None:
    machine = replace(binary.machine, pooling_unit=False)
    with pytest.raises(InputError, match="a machine with a cross-channel pooling unit"):
        decode_program(replace(binary, machine=machine))


@pytest.mark.parametrize(
    "line",
    [
        "load",
        "jump",
        "load rows=1 rows=2",
        "look_up colour=red",
        "load rows=many",
        "",
    ],
)
def test_lines_that_are_no_instruction_are_refused(line: str) -> None:
    with pytest.raises(InputError, match="line 7: "):
        list(from_text([line], 7))


@pytest.mark.parametrize(
    ("offset", "content", "message"),
    [
        (7, b"\x01", "multiplier: .* is not between 0 and 16,777,215"),
        (9, b"\x3f", "shift: 63 is not between 0 and 62"),
    ],
)
def test_scales_that_make_no_sense_are_refused(lowered, feeds_of, offset, content, message) -> None:
    program = lowered("ccp_amax")
    binary = program.code.binary
    weights = bytearray(binary.weights)
    weights[offset : offset + 1] = content
    with pytest.raises(InputError, match=message):
        simulate(replace(binary, weights=bytes(weights)), feeds_of(program))
