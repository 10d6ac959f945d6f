"""Binaries: round trips, and damage of every kind."""

import random
import struct
import zlib
from dataclasses import replace

import pytest
from kit.to_quantise import pooled_functions_of_channels

from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.integer.network import JOININGS
from condense_compiler.targets.accelerator.isa.binary import from_bytes, to_bytes
from condense_compiler.targets.accelerator.isa.instructions import Instruction, from_text, to_text
from condense_compiler.targets.accelerator.isa.registers import NUMBERS, REGISTERS, Opcode
from condense_compiler.targets.accelerator.isa.text import assemble, disassemble
from condense_compiler.targets.accelerator.simulator.program import decode_program
from condense_compiler.targets.accelerator.simulator.simulate import simulate

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


@pytest.mark.parametrize("register", REGISTERS)
def test_every_register_has_a_text_form(register: str) -> None:
    instruction = Instruction(Opcode.SET, NUMBERS[register], 0xFFFFFFFE)
    assert from_text(to_text([instruction])) == [instruction]


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
    refused = 0
    for _ in range(500):
        instructions = list(binary.instructions)
        position = generator.randrange(len(instructions))
        old = instructions[position]
        value = old.value ^ (1 << generator.randrange(32))
        instructions[position] = replace(old, value=value)
        try:
            starts = decode_program(
                from_bytes(to_bytes(replace(binary, instructions=tuple(instructions))))
            )
        except InputError:
            refused += 1
            continue
        memories = {
            "chip": binary.chip_bytes,
            "dram": binary.dram_bytes,
            "weights": binary.machine.weight_buffer_bytes,
            "section": len(binary.weights),
        }
        for start in starts:
            for area in (*start.access.reads, *start.access.writes):
                area.check(memories[area.memory])
    assert refused > 250


@pytest.mark.parametrize("size", [0, 3, 15, 16, 40, 95, 200, -1, -9])
def test_truncated_binaries_are_refused(content, size: int) -> None:
    with pytest.raises(InputError, match="binary"):
        from_bytes(content[:size])


def test_other_sizes_and_versions_are_refused(content) -> None:
    with pytest.raises(InputError, match="header says"):
        from_bytes(content + b"\0")
    with pytest.raises(InputError, match="version 3"):
        from_bytes(content[:4] + struct.pack("<H", 3) + content[6:])
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


def _without_waits(binary):
    waits = {NUMBERS[name] for name in ("wait_loads", "wait_computes", "wait_stores")}
    kept = [i for i in binary.instructions if i.opcode is not Opcode.SET or i.register not in waits]
    return replace(binary, instructions=tuple(kept))


def test_missing_barriers_are_found(lowered, feeds_of) -> None:
    program = lowered("ccp_mean_sum_min", feature_maps="dram")
    with pytest.raises(InputError, match="barrier is missing"):
        simulate(_without_waits(program.code.binary), feeds_of(program))


def test_reading_what_was_never_written_is_found(lowered, feeds_of) -> None:
    program = lowered("ccp_mean_sum_min")
    instructions = list(program.code.binary.instructions)
    first = next(i for i, one in enumerate(instructions) if one.opcode is Opcode.LOAD)
    del instructions[first]
    waits = NUMBERS["wait_loads"]
    instructions = [
        replace(i, value=max(i.value, 1) - 1)
        if i.opcode is Opcode.SET and i.register == waits
        else i
        for i in instructions
    ]
    with pytest.raises(InputError, match="never written"):
        simulate(replace(program.code.binary, instructions=tuple(instructions)), feeds_of(program))


def test_a_barrier_that_waits_for_ever_is_refused(binary) -> None:
    forever = Instruction(Opcode.SET, NUMBERS["wait_stores"], 1000)
    with pytest.raises(InputError, match="waits for 1000"):
        decode_program(replace(binary, instructions=(forever, *binary.instructions)))


def _with_register(binary, name: str, value: int):
    """Return a binary in which every write of a register writes another value."""
    number = NUMBERS[name]
    changed = [
        replace(i, value=value) if i.opcode is Opcode.SET and i.register == number else i
        for i in binary.instructions
    ]
    assert changed != list(binary.instructions)
    return replace(binary, instructions=tuple(changed))


@pytest.mark.parametrize(
    ("register", "value", "message"),
    [
        ("average_input_scale", 0, "scales that are positive"),
        ("average_output_scale", 0x7F800000, "scales that are positive"),
        ("average_output_scale", 0xBF800000, "scales that are positive"),
        ("average_divisor", 3, "a known divisor"),
        ("least_code", 1 << 12, "a code to count from"),
    ],
)
def test_averages_that_make_no_sense_are_refused(binary, register, value, message) -> None:
    with pytest.raises(InputError, match=message):
        decode_program(_with_register(binary, register, value))


@pytest.mark.parametrize(
    ("register", "value", "message"),
    [
        ("first_number", 0x7F800000, "numbers of sensible size"),
        ("second_number", 0x7FC00000, "numbers of sensible size"),
        ("third_number", 0x7F7FFFFF, "numbers of sensible size"),
        ("other_zero", 1 << 12, "a zero near codes"),
        ("least_code", 1 << 12, "a code to count from"),
        ("combination", 7, "a known combination"),
    ],
)
def test_two_maps_that_cannot_be_joined_are_refused(
    lowered, register: str, value: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        decode_program(_with_register(lowered(JOINS).code.binary, register, value))


def test_a_maximum_needs_a_scale_to_divide_by(lowered) -> None:
    binary = _with_register(lowered(JOINS).code.binary, "combination", JOININGS.index("max"))
    with pytest.raises(InputError, match="a scale to divide by"):
        decode_program(_with_register(binary, "third_number", 0))


def test_averages_are_added_in_a_known_order(binary) -> None:
    other = Instruction(Opcode.SET, NUMBERS["average_order"], 2)
    with pytest.raises(InputError, match="a known order of additions"):
        decode_program(replace(binary, instructions=(other, *binary.instructions)))


def test_tables_lie_side_by_side(compiled) -> None:
    binary = compiled(pooled_functions_of_channels()).code.binary
    with pytest.raises(InputError, match="tables side by side"):
        decode_program(_with_register(binary, "outer_table_pitch", 4))


@pytest.mark.parametrize(
    ("offset", "content", "message"),
    [(7, b"\x01", "a multiplier of more than 24 bits"), (9, b"\x3f", "a shift of more than 62")],
)
def test_scales_that_make_no_sense_are_refused(lowered, feeds_of, offset, content, message) -> None:
    program = lowered("ccp_amax")
    binary = program.code.binary
    weights = bytearray(binary.weights)
    weights[offset : offset + 1] = content
    with pytest.raises(InputError, match=message):
        simulate(replace(binary, weights=bytes(weights)), feeds_of(program))
