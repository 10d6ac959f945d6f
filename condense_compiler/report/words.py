"""Sizes, names and proofs as people read them."""

from typing import Protocol

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def format_short(count: int) -> str:
    """Return a size in the unit that fits it: `5.36 MiB`."""
    value, unit = float(count), 0
    while abs(value) >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if value == int(value) else f"{value:.2f} {_UNITS[unit]}"


def format_bytes(count: int) -> str:
    """Return a size with its exact bytes, and a unit a person can compare."""
    return f"{count:,} B" if abs(count) < 1024 else f"{count:,} B ({format_short(count)})"


class Proved(Protocol):
    """An arena, and what is proved of it."""

    @property
    def lower_bound_bytes(self) -> int:
        """No plan for the same order can have a smaller one."""

    @property
    def optimal(self) -> bool:
        """Whether it is the smallest for the order."""

    @property
    def order_optimal(self) -> bool:
        """Whether it is the smallest for any order."""


def proof(arena: Proved) -> str:
    """Return how close to the minimum an arena is known to be."""
    if arena.order_optimal:
        return "proved minimal for every order"
    if arena.optimal:
        return "proved minimal for this order"
    return f"not proved minimal, at least {format_short(arena.lower_bound_bytes)}"


def change(before: int, after: int) -> str:
    """Return how much smaller or larger something became: `-33.3 %`."""
    return f"{(after / before - 1) * 100:+.1f} %" if before else ""


def shorten(name: str, width: int) -> str:
    """Return a name of at most `width` characters; the end of it tells most."""
    return name if len(name) <= width else f"…{name[len(name) - width + 1 :]}"
