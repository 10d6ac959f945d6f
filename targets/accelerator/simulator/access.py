"""The bytes that an instruction reads and writes, and whether its registers make sense."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.codegen.packing import packed_bytes
from condense_compiler.targets.accelerator.integer.forms import ORDERS
from condense_compiler.targets.accelerator.integer.network import DIVIDING, DIVISORS, JOININGS
from condense_compiler.targets.accelerator.isa.binary import Binary
from condense_compiler.targets.accelerator.isa.instructions import number_of_bits
from condense_compiler.targets.accelerator.isa.registers import (
    FACTOR_BYTES,
    LARGEST_WINDOW,
    NO_TABLE,
    PARAMETER_BYTES,
    POOL_KINDS,
    REDUCTIONS,
    TABLE_BYTES,
    WEIGHT_BITS,
    Opcode,
)

Registers = Mapping[str, int]

_MOST_PADDED = 1 << 28  # elements of a padded map
_MOST_SHIFT = 62
_FARTHEST_ZERO = 1 << 10
_LARGEST_NUMBER = 2.0**40
_SPATIAL_DIMENSIONS = (("height", "y", ("top", "bottom")), ("width", "x", ("left", "right")))


@dataclass(frozen=True, slots=True)
class Area:
    """Rows of bytes in a memory: `chip`, `dram`, `weights` (the buffer) or `section`.

    Attributes:
        memory: The memory.
        address: First byte.
        pitch: Bytes from one row to the next.
        rows: Number of rows.
        row_bytes: Bytes of a row.
    """

    memory: str
    address: int
    pitch: int
    rows: int
    row_bytes: int

    @property
    def size_bytes(self) -> int:
        """Bytes in all rows."""
        return self.rows * self.row_bytes

    def check(self, memory_bytes: int) -> None:
        """Refuse an area that is not inside its memory, or whose rows overlap.

        Raises:
            InputError: It is not.
        """
        if self.rows < 1 or self.row_bytes < 1 or self.pitch < self.row_bytes:
            raise InputError(f"an area of {self.memory} is empty, or its rows overlap")
        end = self.address + (self.rows - 1) * self.pitch + self.row_bytes
        if end > memory_bytes:
            raise InputError(f"bytes up to {end:,} of {self.memory}, which has {memory_bytes:,}")


@dataclass(frozen=True, slots=True)
class Access:
    """What an instruction touches; the first areas are its operands, in order."""

    reads: tuple[Area, ...]
    writes: tuple[Area, ...]


def access_of(opcode: Opcode, registers: Registers, binary: Binary) -> Access:
    """Return what an instruction touches.

    Raises:
        InputError: It touches what does not exist, or its registers contradict each other.
    """
    sizes = {
        "chip": binary.chip_bytes,
        "dram": binary.dram_bytes,
        "weights": binary.machine.weight_buffer_bytes,
        "section": len(binary.weights),
    }
    access = _RULES[opcode](registers)
    if opcode is Opcode.CONVOLVE and registers["reduction"] and not binary.machine.pooling_unit:
        raise InputError("the machine has no cross-channel pooling unit")
    for area in (*access.reads, *access.writes):
        area.check(sizes[area.memory])
    return access


def _transfer(r: Registers, dram: str, chip: str) -> tuple[Area, Area]:
    rows, row_bytes = r["dma_rows"], r["dma_row_bytes"]
    far = Area(dram, r["dma_dram_address"], r["dma_dram_pitch"], rows, row_bytes)
    return far, Area(chip, r["dma_chip_address"], r["dma_chip_pitch"], rows, row_bytes)


def _load(r: Registers) -> Access:
    far, near = _transfer(r, "dram", "chip")
    return Access((far,), (near,))


def _load_weights(r: Registers) -> Access:
    far, near = _transfer(r, "section", "weights")
    return Access((far,), (near,))


def _store(r: Registers) -> Access:
    far, near = _transfer(r, "dram", "chip")
    return Access((near,), (far,))


def _map(r: Registers, name: str, channels: int) -> Area:
    size = channels * r[f"{name}_width"]
    return Area("chip", r[f"{name}_address"], r[f"{name}_pitch"], r[f"{name}_height"], size)


def _buffer(address: int, size: int) -> Area:
    return Area("weights", address, size, 1, size)


def _table(r: Registers, register: str, channels: int) -> tuple[Area, ...]:
    if r[register] == NO_TABLE:
        return ()
    pitch = r[f"{register}_pitch"]
    _require(pitch in (0, TABLE_BYTES), "tables side by side, or one for all channels")
    return (_buffer(r[register], TABLE_BYTES * (channels if pitch else 1)),)


def _convolve(r: Registers) -> Access:
    _require(r["depthwise"] <= 1, "depthwise is 0 or 1")
    _require(r["weight_bits"] in WEIGHT_BITS, "weights of 8, 4, 2 or 1 bit")
    _require(r["reduction"] < len(REDUCTIONS), "a known reduction")
    _require(r["pool_kind"] in (0, 1), "max-pooling or none behind a convolution")
    wide, channels, group = r["wide_channels"], r["input_channels"], _group(r)
    _require(wide == r["output_channels"] * group, "wide channels in whole groups")
    _require(not r["depthwise"] or wide % max(channels, 1) == 0, "channels for each input channel")
    _check_codes(r, "scale")
    sums = _positions(
        r, (r["input_height"], r["input_width"]), "kernel", "stride", "dilation", "pad"
    )
    if r["pool_kind"]:
        sums = _pooled(r, sums)
    _require(sums == (r["output_height"], r["output_width"]), "an output of the window's size")
    depth = (1 if r["depthwise"] else channels) * r["kernel_height"] * r["kernel_width"]
    reads = [
        _map(r, "input", channels),
        _buffer(r["weight_address"], packed_bytes(wide * depth, r["weight_bits"])),
        _buffer(r["parameter_address"], wide * PARAMETER_BYTES),
        *_table(r, "inner_table", wide),
        *_table(r, "outer_table", r["output_channels"]),
        *_factors(r, group),
    ]
    return Access(tuple(reads), (_map(r, "output", r["output_channels"]),))


def _group(r: Registers) -> int:
    if not r["reduction"]:
        return 1
    _require(r["group"] >= 1, "a group of one channel or more")
    return r["group"]


def _factors(r: Registers, group: int) -> tuple[Area, ...]:
    reduction = REDUCTIONS[r["reduction"]]
    if reduction in ("none", "max", "min"):
        return ()
    _check_codes(r, "group_scale")
    _require(abs(r["group_zero"]) <= _FARTHEST_ZERO, "a zero near codes")
    if reduction == "average":
        _check_averaging(r)
        return ()
    _require(r["factor_shift"] <= _MOST_SHIFT, "a shift of 62 or less")
    count = group if reduction == "ranked" else 1
    return (_buffer(r["factor_address"], count * FACTOR_BYTES),)


def _positions(
    r: Registers, pixels: tuple[int, int], size: str, step: str, spread: str, pad: str
) -> tuple[int, int]:
    """Return how many positions a window has along each axis."""
    counts, padded = [], 1
    for pixel, (dimension, axis, sides) in zip(pixels, _SPATIAL_DIMENSIONS, strict=True):
        before, after = (r[f"{pad}_{side}"] for side in sides)
        kernel, stride = r[f"{size}_{dimension}"], r[f"{step}_{axis}"]
        dilation = r[f"{spread}_{axis}"]
        _require(min(kernel, stride, dilation) >= 1, "windows of one pixel or more")
        largest = max(kernel, stride, dilation, before, after)
        _require(largest <= LARGEST_WINDOW, "windows of a sensible size")
        reach = dilation * (kernel - 1) + 1
        if pad == "pool":  # the average or the largest of no pixel is no number
            _require(max(before, after) < reach, "padding smaller than the window")
        _require(pixel + before + after >= reach, "a window that fits the padded map")
        padded *= pixel + before + after
        counts.append((pixel + before + after - reach) // stride + 1)
    _require(padded * max(r["input_channels"], 1) <= _MOST_PADDED, "a padded map of sensible size")
    return counts[0], counts[1]


def _pooled(r: Registers, pixels: tuple[int, int]) -> tuple[int, int]:
    return _positions(r, pixels, "pool", "pool_stride", "pool_dilation", "pool")


def _pool(r: Registers) -> Access:
    _require(1 <= r["pool_kind"] < len(POOL_KINDS), "max, average or sum")
    _require(r["input_channels"] == r["output_channels"], "as many output as input channels")
    positions = _pooled(r, (r["input_height"], r["input_width"]))
    _require(positions == (r["output_height"], r["output_width"]), "an output of the window's size")
    kind = POOL_KINDS[r["pool_kind"]]
    if kind != "max":
        _check_codes(r, "scale")
    if kind == "sum":
        _require(r["sum_shift"] <= _MOST_SHIFT, "a shift of 62 or less")
    if kind == "average":
        _check_averaging(r)
    return _simple(r, ())


def _check_averaging(r: Registers) -> None:
    for name in ("average_input_scale", "average_output_scale"):
        scale = number_of_bits(r[name])
        _require(math.isfinite(scale) and scale > 0, "scales that are positive numbers")
    _require(r["average_divisor"] < len(DIVISORS), "a known divisor")
    _require(r["average_order"] < len(ORDERS), "a known order of additions")
    _check_least(r)


def _check_least(r: Registers) -> None:
    _require(abs(r["least_code"]) <= _FARTHEST_ZERO, "a code to count from")


def _combine(r: Registers) -> Access:
    _require(r["combination"] < len(JOININGS), "a known combination")
    _check_codes(r, "scale")
    _check_least(r)
    for name in ("input_zero", "other_zero", "scale_zero"):
        _require(abs(r[name]) <= _FARTHEST_ZERO, "a zero near codes")
    numbers = [number_of_bits(r[f"{name}_number"]) for name in ("first", "second", "third")]
    _require(all(abs(number) <= _LARGEST_NUMBER for number in numbers), "numbers of sensible size")
    if JOININGS[r["combination"]] in DIVIDING:
        _require(numbers[2] >= 1 / _LARGEST_NUMBER, "a scale to divide by")
    pixels = (r["input_height"], r["input_width"])
    other = (r["other_height"], r["other_width"])
    _require(pixels == (r["output_height"], r["output_width"]), "an output of the input's size")
    _require(r["input_channels"] == r["output_channels"], "as many output as input channels")
    _require(other in (pixels, (1, 1)), "a second map of one pixel or as many as the first")
    return _simple(r, (_map(r, "other", r["input_channels"]),))


def _look_up(r: Registers) -> Access:
    shape = tuple(r[f"input_{d}"] for d in ("channels", "height", "width"))
    output = tuple(r[f"output_{d}"] for d in ("channels", "height", "width"))
    _require(shape == output, "an output of the input's size")
    return _simple(r, ())


def _simple(r: Registers, others: tuple[Area, ...]) -> Access:
    channels = r["output_channels"]
    table = _table(r, "outer_table", channels)
    reads = (_map(r, "input", r["input_channels"]), *others, *table)
    return Access(reads, (_map(r, "output", channels),))


def _check_codes(r: Registers, prefix: str) -> None:
    lower, upper = r[f"{prefix}_lower"], r[f"{prefix}_upper"]
    _require(-128 <= lower <= upper <= 127, "limits that are codes")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise InputError(f"expected {what}")


_RULES: Mapping[Opcode, Callable[[Registers], Access]] = {
    Opcode.LOAD: _load,
    Opcode.LOAD_WEIGHTS: _load_weights,
    Opcode.STORE: _store,
    Opcode.CONVOLVE: _convolve,
    Opcode.POOL: _pool,
    Opcode.COMBINE: _combine,
    Opcode.LOOK_UP: _look_up,
}
