"""A placement as a plan of plain buffers: one row for everything that an operator writes.

The rows tell all that there is to know: `lower` is the step of the operator that writes, so they
give the order; a convolution without a row is accumulated into what it is added to; where views
lie follows from the network.
"""

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path

from condense_compiler.errors import ContractError, InputError
from condense_compiler.memory.buffers import Buffer, Plan
from condense_compiler.memory.buffers_csv import read_buffers, read_offsets, write_plan
from condense_compiler.memory.lifetimes import Lifetimes, Steps, find_lifetimes
from condense_compiler.memory.order import file_order
from condense_compiler.memory.placement_check import check_placement
from condense_compiler.memory.sharing import Shared, Sharing, resolve_sharing
from condense_compiler.network import Network
from condense_compiler.network.tensors import type_alignment
from condense_compiler.operators.aliasing import accumulates

# Marks bytes of a map that its successor does not take over.
REST = "#rest"


def placement_rows(
    sharing: Sharing, steps: Steps, offsets: Mapping[str, int]
) -> tuple[list[Buffer], dict[str, int]]:
    """Return what is stored as buffers that never share a byte, and their offsets.

    A map whose place is taken ends when its successor begins; what the successor leaves of it
    ends one step later, in a buffer of its own.
    """
    lives = find_lifetimes(sharing, steps)
    spans = _spans(sharing, offsets, lives)
    starting: dict[int, list[int]] = {}
    for number, step in lives.first.items():
        starting.setdefault(step, []).append(number)
    names = writing_names(sharing)
    buffers: list[Buffer] = []
    placed: dict[str, int] = {}
    for number, (bottom, top) in spans.items():
        alignment = type_alignment(sharing.tensors[sharing.writings[number].tensor])
        last = lives.last[number]
        takers = [spans[n] for n in starting.get(last, ()) if n != number and n in spans]
        rest = _without((bottom, top), takers)
        taken = rest != [(bottom, top)] and sharing.writings[number].readers != []
        lower, upper = lives.first[number], last if taken else last + 1
        # What the very first operator writes over was there before the first step.
        buffers.append(Buffer(names[number], min(lower, upper - 1), upper, top - bottom, alignment))
        placed[names[number]] = bottom
        for part, (start, end) in enumerate(rest if taken else (), start=1):
            name = f"{names[number]}{REST}{part}"
            buffers.append(Buffer(name, last, last + 1, end - start))
            placed[name] = start
    return buffers, placed


def _spans(
    sharing: Sharing, offsets: Mapping[str, int], lives: Lifetimes
) -> dict[int, tuple[int, int]]:
    """Return the bytes of each writing in the arena."""
    spans: dict[int, tuple[int, int]] = {}
    for group in sharing.positions.groups():
        for stretch in group.stretches:
            if stretch.number in lives.first:
                tensor = sharing.writings[stretch.number].tensor
                origin = offsets[tensor] - group.tensors[tensor]
                spans[stretch.number] = (origin + stretch.bottom, origin + stretch.top)
    return dict(sorted(spans.items()))


def _without(span: tuple[int, int], takers: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return what is left of a span without the bytes of others."""
    left: list[tuple[int, int]] = []
    bottom, top = span
    for start, end in sorted(takers):
        if start >= top or end <= bottom:
            continue
        if bottom < start:
            left.append((bottom, start))
        bottom = max(bottom, end)
    return [*left, (bottom, top)] if bottom < top else left


def writing_names(sharing: Sharing) -> list[str]:
    """Return a name for each writing: its label, numbered where several have the same."""
    seen: dict[str, int] = {}
    names: list[str] = []
    for writing in sharing.writings:
        seen[writing.label] = seen.get(writing.label, 0) + 1
        count = seen[writing.label]
        names.append(writing.label if count == 1 else f"{writing.label}#{count}")
    return names


def write_placement(
    path: str | PathLike[str], sharing: Sharing, steps: Steps, offsets: Mapping[str, int]
) -> None:
    """Write a placement as a CSV file.

    Raises:
        InputError: The file cannot be written.
    """
    buffers, placed = placement_rows(sharing, steps, offsets)
    write_plan(path, buffers, Plan(placed, 0, 0, optimal=False))


def read_placement(path: Path, sharing: Sharing) -> tuple[Steps, dict[str, int], int]:
    """Read back what `write_placement` wrote, and check it against the network.

    Returns:
        The order, the offset of each feature map in bytes, and the size of the arena.

    Raises:
        InputError: The file cannot be used, or is not a placement of this network.
    """
    buffers, placed = read_buffers(path), read_offsets(path)
    try:
        return _match(path, sharing, buffers, placed)
    except InputError:
        if not sharing.releasing:
            raise
    # Parts that could not be moved one by one keep their old places until all have new ones.
    return _match(path, replace(sharing, releasing=frozenset()), buffers, placed)


def read_sharing(path: Path, network: Network) -> Sharing:
    """Return what shares memory in the plan of a network: what is copied has a row of its own.

    Raises:
        InputError: The file cannot be used.
    """
    order = file_order(network)
    rows = {buffer.id for buffer in read_buffers(path)}
    apart = (
        Shared(node.outputs[0].name, index, is_part)
        for node in order
        for is_part in (True, False)
        for index in range(len(node.inputs) if is_part else 1)
    )
    copied = frozenset(each for each in apart if each.label in rows)
    # Everything else does share; whether it may is checked with the placement.
    return resolve_sharing(network, order, copied, lambda *_: True)


def _match(
    path: Path, sharing: Sharing, buffers: list[Buffer], placed: Mapping[str, int]
) -> tuple[Steps, dict[str, int], int]:
    rows = {buffer.id: buffer for buffer in buffers}
    try:
        steps = _steps(sharing, rows)
        offsets = _offsets(sharing, placed)
        arena_bytes = max((placed[row.id] + row.size for row in buffers), default=0)
        check_placement(sharing, steps, offsets, arena_bytes)
    except ContractError as error:
        raise InputError(f"{path}: {error}; compile the model again") from error
    expected, expected_offsets = placement_rows(sharing, steps, offsets)
    if {row.id: row for row in expected} != rows or expected_offsets != placed:
        odd = next((r.id for r in expected if rows.get(r.id) != r), next(iter(rows)))
        raise InputError(f"{path}: does not match the model at {odd!r}; compile the model again")
    return steps, offsets, arena_bytes


def _steps(sharing: Sharing, rows: Mapping[str, Buffer]) -> Steps:
    """Return the order that the rows tell."""
    at: dict[int, list[int]] = {}
    pairs: dict[int, int] = {}
    for name, writing in zip(writing_names(sharing), sharing.writings, strict=True):
        if writing.writer is None:
            continue
        row = rows.get(name)
        if row is not None:
            known = at.setdefault(row.lower, [])
            if writing.writer not in known:
                known.append(writing.writer)
        elif accumulates(sharing.order[writing.writer]) and len(writing.readers) == 1:
            pairs[writing.readers[0]] = writing.writer
        else:
            raise ContractError(f"there is no row for {name!r}")
    crowded = next((step for step, operators in at.items() if len(operators) > 1), None)
    if crowded is not None:
        raise ContractError(f"two operators run at step {crowded}")
    running = [at[step][0] for step in sorted(at)]
    if len(set(running)) != len(running):
        raise ContractError("an operator runs at two steps")
    return [(pairs[n], n) if n in pairs else (n,) for n in running]


def _offsets(sharing: Sharing, placed: Mapping[str, int]) -> dict[str, int]:
    """Return where every feature map lies, views included."""
    names = writing_names(sharing)
    offsets: dict[str, int] = {}
    for group in sharing.positions.groups():
        origins = {
            placed[names[stretch.number]] - stretch.bottom
            for stretch in group.stretches
            if names[stretch.number] in placed
        }
        if len(origins) > 1:
            raise ContractError(f"{next(iter(group.tensors))!r} and its views lie apart")
        for origin in origins:
            offsets |= {name: origin + place for name, place in group.tensors.items()}
    return offsets
