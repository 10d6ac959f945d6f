"""The native parts of the compiler (Rust sources in `native/`)."""

from collections.abc import Callable

def plan(
    lowers: list[int],
    uppers: list[int],
    sizes: list[int],
    alignments: list[int],
    pinned: dict[int, int],
    gaps: dict[int, list[tuple[int, int]]],
    *,
    capacity: int | None = None,
    seconds: float | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[list[int], int, int, str]: ...
def find_order(
    predecessors: list[list[int]],
    maps: list[tuple[int, int | None, list[int], bool]],
    overwrites: list[tuple[int, list[int], int]],
    accumulations: list[tuple[int, int, list[int], int]],
    releasing: list[int],
    *,
    initial: list[int] | None = None,
    seconds: float | None = None,
    progress: Callable[[int], object] | None = None,
) -> tuple[list[list[int]], int, int, int, str]: ...
def plan_shapes(
    parts: list[list[tuple[int, int, int, int]]],
    alignments: list[int],
    tries_per_shape: int,
    *,
    capacity: int | None = None,
    seconds: float | None = None,
) -> tuple[list[int], int, int, str]: ...
