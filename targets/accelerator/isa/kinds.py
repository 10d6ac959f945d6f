"""Kinds of fields: which values they take, and the bits that stand for them."""

import struct
from dataclasses import dataclass
from operator import index
from typing import Any, Protocol

Value = bool | int | float | str
_WRITTEN_BITS = 16  # limits of wider fields are written as powers of two
_BITS, _FLOAT = struct.Struct("<I"), struct.Struct("<f")


class Kind(Protocol):
    """What values a field takes, and the bits that stand for them; ValueError for all others."""

    @property
    def bits(self) -> int:
        """Width."""

    @property
    def values(self) -> str:
        """The values, for the documentation."""

    def encode(self, value: Any) -> int:
        """Return the bits of a value, as a number without sign."""

    def decode(self, bits: int) -> Value:
        """Return the value of bits."""

    def parse(self, text: str) -> Value:
        """Return the value that a text stands for."""


@dataclass(frozen=True, slots=True)
class Whole:
    """Whole numbers, signed ones in two's complement, all that the bits hold or fewer."""

    bits: int
    signed: bool = False
    least: int | None = None
    most: int | None = None

    @property
    def _limits(self) -> tuple[int, int]:
        low, high = (
            (-1 << self.bits - 1, 1 << self.bits - 1) if self.signed else (0, 1 << self.bits)
        )
        return (
            low if self.least is None else self.least,
            high - 1 if self.most is None else self.most,
        )

    @property
    def values(self) -> str:
        """The values, for the documentation."""
        low, high = self._limits
        if self.bits <= _WRITTEN_BITS or self.most is not None:
            return f"{low:,} … {high:,}"
        lowest = f"-2^{self.bits - 1}" if self.signed else low
        return f"{lowest} … 2^{self.bits - self.signed} - 1"

    def encode(self, value: Any) -> int:
        """Return the bits of a number."""
        number, (low, high) = index(value), self._limits
        if not low <= number <= high:
            raise ValueError(f"{number:,} is not between {low:,} and {high:,}")
        return number & ((1 << self.bits) - 1)

    def decode(self, bits: int) -> int:
        """Return the number of bits."""
        number = bits - (1 << self.bits) if self.signed and bits >> (self.bits - 1) else bits
        self.encode(number)
        return number

    def parse(self, text: str) -> int:
        """Return a number in decimal."""
        return int(text)


@dataclass(frozen=True, slots=True)
class Real:
    """Numbers in 32-bit floating point, from `least` to `most`."""

    least: float
    most: float

    @property
    def bits(self) -> int:
        """Width."""
        return 32

    @property
    def values(self) -> str:
        """The values, for the documentation."""
        return "positive" if self.least > 0 else "number"

    def encode(self, value: Any) -> int:
        """Return the bits of a number."""
        if not self.least <= value <= self.most:
            raise ValueError(f"{value} is not between {self.least} and {self.most}")
        (bits,) = _BITS.unpack(_FLOAT.pack(value))
        return int(bits)

    def decode(self, bits: int) -> float:
        """Return the number of bits."""
        (number,) = _FLOAT.unpack(_BITS.pack(bits))
        self.encode(number)
        return float(number)

    def parse(self, text: str) -> float:
        """Return a number in decimal; Python's shortest form comes back exactly."""
        return float(text)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values; its position stands for it."""

    choices: tuple[Value, ...]

    @property
    def bits(self) -> int:
        """Width."""
        return max(1, (len(self.choices) - 1).bit_length())

    @property
    def values(self) -> str:
        """The values, for the documentation."""
        return ", ".join(f"{bits} {value}" for bits, value in enumerate(self.choices))

    def encode(self, value: Any) -> int:
        """Return the position of a value."""
        if value not in self.choices:
            raise ValueError(f"{value} is not one of {', '.join(map(str, self.choices))}")
        return self.choices.index(value)

    def decode(self, bits: int) -> Value:
        """Return the value at a position."""
        if bits >= len(self.choices):
            raise ValueError(f"{bits} is none of the {len(self.choices)} choices")
        return self.choices[bits]

    def parse(self, text: str) -> Value:
        """Return the value of a name."""
        return {str(value): value for value in self.choices}[text]


FLAG = Choice((False, True))
