"""Windows that walk over the pixels: all that is computed from kernel, strides, pads, dilations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from condense_compiler.operators.attributes import Shape, Spelling

_SAME = ("SAME_UPPER", "SAME_LOWER")


@dataclass(frozen=True, slots=True)
class Window:
    """How a convolution or a spatial pooling walks over the pixels, as in ONNX.

    Attributes:
        kernel_shape: Size along each spatial axis.
        strides: Step along each spatial axis.
        pads: All beginnings, then all ends.
        dilations: Distance of taps along each spatial axis.
        ceil_mode: Keep a last, incomplete position (pooling alone).
        follows_size: The pads are those that the size of the map asked for (`auto_pad`).
    """

    kernel_shape: Shape
    strides: Shape
    pads: Shape
    dilations: Shape
    ceil_mode: bool = False
    follows_size: bool = field(default=False, compare=False)

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Any], prefix: str = "") -> Self:
        """Read a window of which everything is given."""
        names = ("kernel_shape", "strides", "pads", "dilations")
        kernel, strides, pads, dilations = (tuple(attributes[prefix + name]) for name in names)
        ceil_mode = bool(attributes.get(f"{prefix}ceil_mode", 0))
        return cls(kernel, strides, pads, dilations, ceil_mode)

    def to_attributes(self, prefix: str = "", *, pooling: bool) -> dict[str, Any]:
        """Return the ONNX attributes; a convolution has no `ceil_mode`."""
        attributes: dict[str, Any] = {
            f"{prefix}kernel_shape": list(self.kernel_shape),
            f"{prefix}strides": list(self.strides),
            f"{prefix}pads": list(self.pads),
            f"{prefix}dilations": list(self.dilations),
        }
        return attributes | ({f"{prefix}ceil_mode": int(self.ceil_mode)} if pooling else {})

    @property
    def begins(self) -> Shape:
        """Pads before each spatial axis."""
        return self.pads[: len(self.kernel_shape)]

    @property
    def ends(self) -> Shape:
        """Pads behind each spatial axis."""
        return self.pads[len(self.kernel_shape) :]

    def reach(self, axis: int) -> int:
        """Return the pixels from the first tap to the last, both included."""
        return self.dilations[axis] * (self.kernel_shape[axis] - 1) + 1

    @property
    def reaches(self) -> Shape:
        """The reach along each spatial axis."""
        return tuple(map(self.reach, range(len(self.kernel_shape))))

    def span(self, axis: int, positions: int) -> int:
        """Return the pixels that consecutive positions cover, padding included."""
        return (positions - 1) * self.strides[axis] + self.reach(axis)

    def output_shape(self, pixels: Sequence[int]) -> Shape:
        """Return the number of positions along each spatial axis (ONNX Conv and MaxPool)."""
        return tuple(self.positions(axis, size) for axis, size in enumerate(pixels))

    def positions(self, axis: int, size: int) -> int:
        """Return the number of positions along an axis of `size` pixels."""
        count = self.rounded_positions(axis, size)
        # A position that would start in the padding behind the map is dropped (ONNX, PyTorch).
        starts_behind = (count - 1) * self.strides[axis] >= size + self.begins[axis]
        return count - (self.ceil_mode and starts_behind)

    def rounded_positions(self, axis: int, size: int) -> int:
        """Return the number of positions, those that start in the padding behind included."""
        stride = self.strides[axis]
        free = size + self.begins[axis] + self.ends[axis] - self.reach(axis)
        return (free + stride - 1 if self.ceil_mode else free) // stride + 1

    def reads(self, axis: int, positions: range, size: int) -> range:
        """Return the pixels of a map of `size` that consecutive positions read."""
        start = positions.start * self.strides[axis] - self.begins[axis]
        end = start + self.span(axis, len(positions)) if positions else start
        first = min(max(start, 0), size)
        return range(first, max(min(end, size), first))

    def missing(self, axis: int, size: int) -> int:
        """Return the pads for ceil(size / stride) positions; less than 0 where pixels are left."""
        return self.span(axis, -(-size // self.strides[axis])) - size

    def padded_same(self, pixels: Sequence[int], *, upper: bool) -> "Window":
        """Return the window with pads for ceil(size / stride) positions along each axis.

        An odd pad goes to the end if `upper`. Source: ONNX operator specification, `auto_pad`.
        """
        totals = [max(self.missing(axis, size), 0) for axis, size in enumerate(pixels)]
        begins = [(total + (not upper)) // 2 for total in totals]
        ends = [total - begin for total, begin in zip(totals, begins, strict=True)]
        return replace(self, pads=(*begins, *ends), ceil_mode=False, follows_size=True)


def window_of(given: Spelling, kernel: Sequence[int], pixels: Sequence[int]) -> Window:
    """Return the window of a convolution or pooling, with its pads as numbers."""
    ones = (1,) * len(kernel)
    window = Window(
        kernel_shape=tuple(kernel),
        strides=given.integers("strides") or ones,
        pads=given.integers("pads") or (0, 0) * len(kernel),
        dilations=given.integers("dilations") or ones,
        ceil_mode=bool(given.integer("ceil_mode", 0)),
    )
    mode = given.text("auto_pad", "NOTSET")
    if mode in _SAME:
        return window.padded_same(pixels, upper=mode == "SAME_UPPER")
    return replace(window, pads=(0, 0) * len(kernel)) if mode == "VALID" else window
