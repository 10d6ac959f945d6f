"""How much of a convolution is computed at a time, so that scratch is bounded and BLAS is fast."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from condense_compiler.targets.reference.setting_aside import SetAside

# Scratch of one operator, unless a single stripe needs more.
SCRATCH_LIMIT_BYTES = 1 << 20

# Adding taps one by one reads and writes the same pixels again and again: they stay in the cache.
_CACHE_BYTES = 1 << 18

# Rough figures of one core, only used to rank tilings.
_MULTIPLIES_PER_SECOND = 50e9
_WEIGHT_BYTES_PER_SECOND = 15e9
_COPY_BYTES_PER_SECOND = 5e9
_ADD_BYTES_PER_SECOND = 20e9
_CALL_SECONDS = 2e-6
# Pixels and channels at which a matrix product reaches half its speed.
_HALF_SPEED_PIXELS = 6
_HALF_SPEED_CHANNELS = 4


@dataclass(frozen=True, slots=True)
class Tiling:
    """Sizes of what is computed at a time.

    Attributes:
        rows: Rows of the output.
        outputs: Output channels, each of `window` wide channels.
        inputs: Input channels that are unfolded into patches.
    """

    rows: int
    outputs: int
    inputs: int


@dataclass(frozen=True, slots=True)
class ConvolutionShape:
    """What the scratch and the speed of a convolution depend on.

    Attributes:
        rows: Rows of the output.
        row_pixels: Pixels in a row of the convolution.
        row_step: Rows of the convolution from one output row to the next.
        row_reach: Rows of the convolution that one output row reads.
        group_count: Groups that are computed one by one.
        group_inputs: Input channels of a group.
        group_outputs: Output channels of a group.
        window: Wide channels that are reduced to one.
        taps: Taps of the filter.
        unfolds: The input is unfolded into patches.
        stores_wide: The wide map is not written straight to the output.
        adds_taps: Taps are added one by one (depthwise), which needs room for a product.
        gathers: Wide channels are brought into order behind the convolution.
        blocks_channels: Channels may be computed in blocks.
        pooled_row_elements: Elements that spatial pooling stores between its axes, for each output
            channel and row: after one axis, after the next.
        rounded_row_elements: Elements of the output that are rounded from a wider type, for each
            output channel and row.
        sorts: The reduction needs room to exchange channels.
        itemsize: Bytes of an element.
        fixed_bytes: Temporaries that do not depend on the tiling.
        aside: What is set aside of an input that the output is written over.
    """

    rows: int
    row_pixels: int
    row_step: int
    row_reach: int
    group_count: int
    group_inputs: int
    group_outputs: int
    window: int
    taps: int
    unfolds: bool
    stores_wide: bool
    adds_taps: bool
    gathers: bool
    blocks_channels: bool
    pooled_row_elements: tuple[int, ...]
    rounded_row_elements: int
    sorts: bool
    itemsize: int
    fixed_bytes: int
    aside: SetAside | None = None

    def pixels(self, rows: int) -> int:
        """Return the pixels of the convolution that some output rows need."""
        return ((rows - 1) * self.row_step + self.row_reach) * self.row_pixels

    def wide_channels(self, tiling: Tiling) -> int:
        """Return the wide channels that are computed at a time."""
        return tiling.outputs * self.window

    def elements(self, tiling: Tiling) -> dict[str, int]:
        """Return the number of elements of each array in scratch, by name."""
        pixels = self.pixels(tiling.rows)
        wide = self.wide_channels(tiling) * pixels
        partial = self.adds_taps or (self.unfolds and tiling.inputs < self.group_inputs)
        sizes = {
            "patches": self.unfolds * tiling.inputs * self.taps * pixels,
            "wide": self.stores_wide * wide,
            "partial": partial * wide,
            "gathered": self.gathers * wide,
            "exchanged": self.sorts * tiling.outputs * pixels,
            "result": self.rounded_row_elements * tiling.outputs * tiling.rows,
            "aside": self._set_aside(tiling),
        }
        for number, elements in enumerate(self.pooled_row_elements):
            sizes[f"pooled{number}"] = elements * tiling.outputs * tiling.rows
        return {name: size for name, size in sizes.items() if size}

    def _set_aside(self, tiling: Tiling) -> int:
        return self.aside.elements(tiling.rows, self.channels_aside(tiling)) if self.aside else 0

    def channels_aside(self, tiling: Tiling) -> int:
        """Return the input channels that are set aside at a time."""
        assert self.aside is not None
        return self.wide_channels(tiling) if self.adds_taps else self.aside.channels

    def moved_bytes(self, tiling: Tiling) -> int:
        """Return the temporary that moves what was set aside from stripe to stripe."""
        if self.aside is None or tiling.rows >= self.rows:
            return 0
        channels = self.channels_aside(tiling)
        return self.aside.elements_moved(tiling.rows, channels) * self.itemsize

    def scratch_bytes(self, tiling: Tiling) -> int:
        """Return about how much scratch a tiling needs."""
        arrays = sum(self.elements(tiling).values()) * self.itemsize
        return arrays + self.moved_bytes(tiling) + self.fixed_bytes

    def allows(self, tiling: Tiling) -> bool:
        """Tell whether the output may be computed this way, should it lie on the input.

        Where its planes are smaller, those that are computed together must be complete before
        they are written: one of them may lie on any row of another.
        """
        in_step = self.aside is None or self.aside.same_planes
        return in_step or tiling.outputs == 1 or tiling.rows >= self.rows

    def seconds(self, tiling: Tiling) -> float:
        """Return about how long one batch item takes."""
        pixels = self.pixels(tiling.rows)
        stripes = -(-self.rows // tiling.rows)
        blocks = -(-self.group_outputs // tiling.outputs)
        slices = -(-self.group_inputs // tiling.inputs)
        wide = self.wide_channels(tiling)
        weights = self.group_outputs * self.window * self.group_inputs * self.taps
        unfolded = self.unfolds * self.group_inputs * self.taps * pixels * self.itemsize
        refills = blocks if slices > 1 else 1
        speed = _MULTIPLIES_PER_SECOND / (
            (1 + _HALF_SPEED_PIXELS / pixels) * (1 + _HALF_SPEED_CHANNELS / wide)
        )
        added = (
            (slices > 1) * slices * 3 * self.group_outputs * self.window * pixels * self.itemsize
        )
        aside = self._set_aside(tiling) * (blocks if self.adds_taps else 1) * self.itemsize
        added_taps = 2 * self.taps * self.window * self.adds_taps
        calls = blocks * (slices * 2 + 12 + added_taps) + self.taps * refills * slices
        return (
            stripes
            * self.group_count
            * (
                weights * pixels / speed
                + weights * self.itemsize / _WEIGHT_BYTES_PER_SECOND
                + unfolded * refills / _COPY_BYTES_PER_SECOND
                + aside / self.group_count / _COPY_BYTES_PER_SECOND
                + added / _ADD_BYTES_PER_SECOND
                + calls * _CALL_SECONDS
            )
        )


@lru_cache(maxsize=4096)
def choose_tiling(shape: ConvolutionShape) -> Tiling:
    """Return the tiling that is likely the fastest within the scratch limit."""
    stripe = Tiling(1, shape.group_outputs, shape.group_inputs)
    limits = [SCRATCH_LIMIT_BYTES, shape.scratch_bytes(stripe)]
    if shape.adds_taps:
        limits.insert(0, _CACHE_BYTES)
    within = (list(_candidates(shape, limit_bytes)) for limit_bytes in limits)
    return min(next(filter(None, within)), key=shape.seconds)


def _candidates(shape: ConvolutionShape, limit_bytes: int) -> Iterator[Tiling]:
    for rows in _parts(shape.rows):
        for outputs in (
            _parts(shape.group_outputs) if shape.blocks_channels else [shape.group_outputs]
        ):
            tiling = _fit_inputs(shape, rows, outputs, limit_bytes)
            if tiling is not None and shape.allows(tiling):
                yield tiling


def _fit_inputs(
    shape: ConvolutionShape, rows: int, outputs: int, limit_bytes: int
) -> Tiling | None:
    """Return the tiling with the most input channels that keeps the limit."""
    whole = Tiling(rows, outputs, shape.group_inputs)
    if shape.scratch_bytes(whole) <= limit_bytes:
        return whole
    if not (shape.unfolds and shape.blocks_channels) or shape.group_inputs == 1:
        return None
    one = Tiling(rows, outputs, 1)
    input_bytes = shape.taps * shape.pixels(rows) * shape.itemsize
    inputs = 1 + (limit_bytes - shape.scratch_bytes(one)) // input_bytes
    return Tiling(rows, outputs, min(inputs, shape.group_inputs - 1)) if inputs >= 1 else None


def _parts(size: int) -> list[int]:
    """Return sizes of equal parts: the whole, a half, ... down to one."""
    counts = [1, 2, 3, 4, 6, 8]
    while counts[-1] < size:
        counts.append(counts[-1] * 3 // 2 if len(counts) % 2 else counts[-1] * 4 // 3)
    return sorted({-(-size // count) for count in counts})
