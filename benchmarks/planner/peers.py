"""Other planners that can be installed from PyPI, behind one function each."""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

from condense_compiler.memory.buffers import Buffer

Peer = Callable[[Sequence[Buffer], float], int | None]
"""Takes buffers and seconds; returns the arena in bytes, or None for no answer in time."""


def available() -> tuple[dict[str, Peer], list[str]]:
    """Return the installed peers by name, and a line for each one that is not installed."""
    peers: dict[str, Peer] = {}
    missing = []
    for package, named in (
        ("omnimalloc", {"OmniMalloc omni": _omni, "OmniMalloc supermalloc": _supermalloc}),
        ("ortools", {"OR-tools CP-SAT": _cp_sat}),
    ):
        if importlib.util.find_spec(package):
            peers |= named
        else:
            missing.append(f"{', '.join(named)}: skipped, needs `pip install {package}`")
    return peers, missing


def _omni(buffers: Sequence[Buffer], _seconds: float) -> int | None:
    from omnimalloc.allocators.omni import OmniAllocator  # noqa: PLC0415 - may be absent

    return _omnimalloc(buffers, OmniAllocator())


def _supermalloc(buffers: Sequence[Buffer], seconds: float) -> int | None:
    from omnimalloc.allocators.supermalloc import (  # noqa: PLC0415
        SupermallocAllocator,
    )

    return _omnimalloc(buffers, SupermallocAllocator(timeout=seconds))


def _omnimalloc(buffers: Sequence[Buffer], allocator: Any) -> int:
    import omnimalloc  # noqa: PLC0415

    given = [omnimalloc.Allocation(b.id, b.size, b.lower, b.upper) for b in buffers]
    placed = omnimalloc.allocate(given, allocator)
    return max(int(one.offset + one.size) for one in placed)


def _cp_sat(buffers: Sequence[Buffer], seconds: float) -> int | None:
    from ortools.sat.python import cp_model  # noqa: PLC0415

    if len(buffers) > 2000:
        return None  # building the model alone takes longer than the limit
    model = cp_model.CpModel()
    total = sum(buffer.size for buffer in buffers)
    arena = model.new_int_var(0, total, "arena")
    lives, places = [], []
    for buffer in buffers:
        offset = model.new_int_var(0, total - buffer.size, "")
        lives.append(
            model.new_fixed_size_interval_var(buffer.lower, buffer.upper - buffer.lower, "")
        )
        places.append(model.new_fixed_size_interval_var(offset, buffer.size, ""))
        model.add(offset + buffer.size <= arena)
    model.add_no_overlap_2d(lives, places)
    model.add_cumulative(lives, [buffer.size for buffer in buffers], arena)
    model.minimize(arena)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    status = solver.solve(model)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return round(solver.objective_value) if found else None
