"""Records of fields that several instructions have (docs/accelerator.md, "Instructions").

A field that an instruction does not need holds its default, which is a value like any other.
"""

import math
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Annotated

from condense_compiler.targets.accelerator.isa.areas import Area, MemoryName, one_row
from condense_compiler.targets.accelerator.isa.kinds import Choice, Real, Whole

LARGEST_WINDOW = 1 << 14  # for sizes, steps and pads of windows
TABLE_BYTES = 256
MOST_SHIFT = 62
LARGEST_NUMBER = math.ldexp(1.0, 40)

REDUCTIONS = ("none", "max", "min", "average", "ranked", "l2")
# What a sum of values is divided by: how many there are, how many could be there, or one.
DIVISORS = ("present", "window", "one")
# How the values of a window are added up: row by row, or column after column.
ORDERS = ("rows", "columns")
# What is done to two maps (docs/accelerator.md, "The integers").
JOININGS = ("add", "add_to_second", "add_values", "multiply", "multiply_values", "max", "min")
DIVIDING = frozenset(("add_values", "multiply_values", "max", "min"))  # by the third number

Address = Annotated[int, Whole(32)]
Size = Annotated[int, Whole(24, least=1)]
Code = Annotated[int, Whole(8, signed=True)]
Zero = Annotated[int, Whole(12, signed=True)]  # what a value of zero would be, near the codes
Step = Annotated[int, Whole(15, least=1, most=LARGEST_WINDOW)]
Pad = Annotated[int, Whole(15, most=LARGEST_WINDOW)]
Shift = Annotated[int, Whole(6, most=MOST_SHIFT)]
Scale = Annotated[float, Real(math.ldexp(1.0, -149), math.ldexp(1.0, 127))]
Number = Annotated[float, Real(-LARGEST_NUMBER, LARGEST_NUMBER)]


class Queue(IntEnum):
    """Units that run side by side; each runs its instructions in their order."""

    LOAD = 0
    COMPUTE = 1
    STORE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """A barrier: how many instructions of each queue must have finished."""

    loads: Annotated[int, Whole(24), "instructions of the load queue"] = 0
    computes: Annotated[int, Whole(24), "of the compute queue"] = 0
    stores: Annotated[int, Whole(24), "of the store queue"] = 0

    def by_queue(self) -> tuple[int, int, int]:
        """Return them in the order of `Queue`."""
        return self.loads, self.computes, self.stores


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOperand:
    """A map: channel c, row y, column x stands at `address + y * pitch + c * width + x`."""

    address: Annotated[Address, "first byte"]
    pitch: Annotated[Address, "bytes from one row to the next"]
    channels: Annotated[Size, "channels"]
    height: Annotated[Size, "rows"]
    width: Annotated[Size, "columns"]

    @property
    def pixels(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.height, self.width

    def area(self, memory: MemoryName = "chip") -> Area:
        """Return its bytes."""
        return Area(memory, self.address, self.pitch, self.height, self.channels * self.width)

    def part(self, first: int, count: int) -> "MapOperand":
        """Return some of its channels."""
        return replace(self, address=self.address + first * self.width, channels=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelWindow:
    """How a window walks over the pixels; of each pair, the first is for rows."""

    kernel: Annotated[tuple[Step, Step], "height, width"] = (1, 1)
    strides: Annotated[tuple[Step, Step], "from one position to the next"] = (1, 1)
    dilations: Annotated[tuple[Step, Step], "from one tap to the next"] = (1, 1)
    pads: Annotated[tuple[Pad, Pad, Pad, Pad], "top, left, bottom, right"] = (0, 0, 0, 0)

    @property
    def taps(self) -> int:
        """Pixels in the window."""
        return self.kernel[0] * self.kernel[1]

    def padded(self, pixels: tuple[int, int]) -> tuple[int, int]:
        """Return height and width with the padding."""
        return pixels[0] + self.pads[0] + self.pads[2], pixels[1] + self.pads[1] + self.pads[3]

    def positions(self, pixels: tuple[int, int]) -> tuple[int, int]:
        """Return how many positions it has along each axis; none or less where it does not fit."""
        rows, columns = (
            (padded - dilation * (kernel - 1) - 1) // stride + 1
            for padded, kernel, stride, dilation in zip(
                self.padded(pixels), self.kernel, self.strides, self.dilations, strict=True
            )
        )
        return rows, columns

    def sees_pixels(self) -> bool:
        """Tell whether no position lies in the padding alone."""
        reach = [d * (k - 1) + 1 for d, k in zip(self.dilations, self.kernel, strict=True)]
        return all(pad < reach[side % 2] for side, pad in enumerate(self.pads))


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOperand:
    """A function of codes, 256 bytes for one, in the weight buffer."""

    kind: Annotated[
        str, Choice(("none", "shared", "channels")), "one for all channels, or one for each"
    ] = "none"
    address: Annotated[Address, "that of code -128"] = 0

    def area(self, channels: int) -> Area | None:
        """Return the bytes of its entries."""
        if self.kind == "none":
            return None
        count = channels if self.kind == "channels" else 1
        return one_row("weights", self.address, count * TABLE_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What codes a result takes."""

    zero: Annotated[Zero, "code of the value zero"] = 0
    lower: Annotated[Code, "smallest code"] = -128
    upper: Annotated[Code, "largest code"] = 127


@dataclass(frozen=True, slots=True)
class Averaging:
    """How several codes become the code of their average, or of their sum.

    Attributes:
        input_scale: Value of one step of them, a number in 32-bit floating point.
        output_scale: Value of one step of the result, likewise.
        zero: Code of the value zero.
        least: Code that counts as 0 while rounding: -128 for codes without sign, 0 for codes with
            one, the zero where values are rounded before they become codes.
        lower: Smallest code.
        upper: Largest code.
        divisor: One of `DIVISORS`; padding is not present.
        order: One of `ORDERS`, for pixels.
    """

    input_scale: Annotated[Scale, "value of one step of the codes"]
    output_scale: Annotated[Scale, "value of one step of the result"]
    zero: Annotated[Zero, "code of the value zero"]
    least: Annotated[Zero, "code that counts as 0 while rounding"]
    lower: Annotated[Code, "smallest code"]
    upper: Annotated[Code, "largest code"]
    divisor: Annotated[str, Choice(DIVISORS), "codes on the map, size of the window, or one"]
    order: Annotated[str, Choice(ORDERS), "in which pixels are added"] = "rows"


@dataclass(frozen=True, slots=True)
class Joining:
    """How the codes of two maps become one, in numbers of 24 significant bits.

    Attributes:
        kind: One of `JOININGS`.
        numbers: Of the first map, of the second, and of the result, in 32-bit floating point.
        zeros: Codes of the value zero, of the first map and of the second.
        least: Code that counts as 0 while rounding: -128, or 0 for codes with a sign.
        zero: Code of the value zero in the result.
        lower: Smallest code.
        upper: Largest code.
    """

    kind: Annotated[str, Choice(JOININGS), "what is done to two codes"]
    numbers: Annotated[tuple[Number, Number, Number], "`f1`, `f2`, `f3`"]
    zeros: Annotated[tuple[Zero, Zero], "codes of the value zero of both maps"]
    least: Annotated[Zero, "code that counts as 0 while rounding"]
    zero: Annotated[Zero, "code of the value zero in the result"]
    lower: Annotated[Code, "smallest code"]
    upper: Annotated[Code, "largest code"]


NO_WAITS, NO_TABLE, EVERY_CODE, POINT = Waits(), TableOperand(), Limits(), PixelWindow()
NO_AVERAGE = Averaging(1.0, 1.0, 0, 0, -128, 127, "one")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPooling:
    """Reduction of each group of consecutive channels to one."""

    reduction: Annotated[str, Choice(REDUCTIONS), "how"] = "none"
    group: Annotated[Size, "channels in a group"] = 1
    zero: Annotated[Zero, "code of the value zero of what is reduced"] = 0
    factor_address: Annotated[Address, "factors of ranks, or one, in the weight buffer"] = 0
    factor_shift: Annotated[Shift, "what the products are divided by, as a power of two"] = 0
    limits: Annotated[Limits, "of ranked and l2"] = EVERY_CODE
    averaging: Annotated[Averaging, "of averages"] = NO_AVERAGE


NO_POOLING = GroupPooling()
