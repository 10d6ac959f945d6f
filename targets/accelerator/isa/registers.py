"""Registers and operations of the instruction set: one table for encoder, decoder and text.

Every instruction has 64 bits. `SET` writes a register, which keeps its value until it is written
again; the other instructions start a unit, which reads the registers it needs.
"""

from enum import IntEnum


class Opcode(IntEnum):
    """First byte of an instruction."""

    SET = 0x01
    LOAD = 0x10  # DRAM to feature-map memory
    LOAD_WEIGHTS = 0x11  # weight section to weight buffer
    STORE = 0x12  # feature-map memory to DRAM
    CONVOLVE = 0x20
    POOL = 0x21
    COMBINE = 0x22
    LOOK_UP = 0x23
    END = 0xFF


class Queue(IntEnum):
    """Units that run side by side; each runs its instructions in their order."""

    LOAD = 0
    COMPUTE = 1
    STORE = 2


QUEUES = {
    Opcode.LOAD: Queue.LOAD,
    Opcode.LOAD_WEIGHTS: Queue.LOAD,
    Opcode.STORE: Queue.STORE,
    Opcode.CONVOLVE: Queue.COMPUTE,
    Opcode.POOL: Queue.COMPUTE,
    Opcode.COMBINE: Queue.COMPUTE,
    Opcode.LOOK_UP: Queue.COMPUTE,
}

# A register's number is its position here. Signed ones hold two's complement.
REGISTERS: tuple[str, ...] = (
    # Barriers: how many instructions of each queue must have finished before a unit starts.
    "wait_loads",
    "wait_computes",
    "wait_stores",
    # Transfers: rows of bytes.
    "dma_dram_address",
    "dma_chip_address",
    "dma_rows",
    "dma_row_bytes",
    "dma_dram_pitch",
    "dma_chip_pitch",
    # Maps: channel c, row y, column x stands at address + y * pitch + c * width + x.
    "input_address",
    "input_pitch",
    "input_channels",
    "input_height",
    "input_width",
    "input_zero",
    "other_address",
    "other_pitch",
    "other_height",
    "other_width",
    "other_zero",
    "output_address",
    "output_pitch",
    "output_channels",
    "output_height",
    "output_width",
    # Windows of convolution and pooling.
    "kernel_height",
    "kernel_width",
    "stride_y",
    "stride_x",
    "dilation_y",
    "dilation_x",
    "pad_top",
    "pad_left",
    "pad_bottom",
    "pad_right",
    "pool_height",
    "pool_width",
    "pool_stride_y",
    "pool_stride_x",
    "pool_dilation_y",
    "pool_dilation_x",
    "pool_top",
    "pool_left",
    "pool_bottom",
    "pool_right",
    # Convolution.
    "depthwise",
    "wide_channels",
    "weight_address",
    "weight_bits",
    "parameter_address",
    # From sums to codes.
    "scale_zero",
    "scale_lower",
    "scale_upper",
    "inner_table",
    "inner_table_pitch",
    "outer_table",
    "outer_table_pitch",
    # Cross-channel pooling.
    "reduction",
    "group",
    "group_zero",
    "factor_address",
    "factor_shift",
    "group_scale_zero",
    "group_scale_lower",
    "group_scale_upper",
    # Pooling of pixels.
    "pool_kind",
    "sum_multiplier",
    "sum_shift",
    # Averages and two maps: scales and numbers are in 32-bit floating point, as their bits.
    "least_code",
    "average_input_scale",
    "average_output_scale",
    "average_divisor",
    "average_order",
    "combination",
    "first_number",
    "second_number",
    "third_number",
)

NUMBERS = {name: number for number, name in enumerate(REGISTERS)}
SIGNED = frozenset(
    name for name in REGISTERS if name.endswith(("zero", "lower", "upper", "least_code"))
)

NO_TABLE = 0xFFFFFFFF
REDUCTIONS = ("none", "max", "min", "average", "ranked", "l2")
POOL_KINDS = ("none", "max", "average", "sum")
WEIGHT_BITS = (8, 4, 2, 1)

TABLE_BYTES = 256
# Bias: 4, multiplier: 4, zero of the weights: 1, shift: 1, fraction of the bias: 2.
PARAMETER_BYTES = 12
LARGEST_WINDOW = 1 << 14  # for sizes, steps and pads of windows
FACTOR_BYTES = 4
