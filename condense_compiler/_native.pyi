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
def plan_shapes(
    parts: list[list[tuple[int, int, int, int]]],
    alignments: list[int],
    *,
    capacity: int | None = None,
    seconds: float | None = None,
) -> tuple[list[int], int, int, str]: ...
