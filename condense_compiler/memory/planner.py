"""Places buffers in one small arena: the native planner, and a check of whatever it returns."""

from collections.abc import Callable, Sequence

from condense_compiler import _native
from condense_compiler.errors import InputError
from condense_compiler.memory.buffers import Buffer, Ending, Plan
from condense_compiler.memory.validation import validate

_INT64 = range(-(2**63), 2**63)


def plan(
    buffers: Sequence[Buffer],
    *,
    capacity: int | None = None,
    seconds: float | None = None,
    progress: Callable[[int], object] | None = None,
) -> Plan:
    """Place buffers in the smallest arena that can be found.

    Without `seconds` the effort is bounded, and the answer depends on the buffers alone. Ctrl-C
    ends the search; the plan is then the best so far, and its `ending` says so.

    Args:
        buffers: What to place; their order does not matter.
        capacity: Stop at the first plan that needs at most this many bytes, or at the proof
            that there is none; `Plan.verdict` tells the two apart. As small as possible if None.
        seconds: Search until the question is answered, but no longer than this.
        progress: Called with `arena_bytes` when a better plan is found.

    Returns:
        A plan that has passed the validator.

    Raises:
        InputError: The buffers cannot be planned; the message names them.
    """
    _check_ids(buffers)
    try:
        offsets, arena_bytes, lower_bound_bytes, ending = _native.plan(
            [buffer.lower for buffer in buffers],
            [buffer.upper for buffer in buffers],
            [buffer.size for buffer in buffers],
            [buffer.alignment for buffer in buffers],
            {i: b.pinned for i, b in enumerate(buffers) if b.pinned is not None},
            {i: list(b.gaps) for i, b in enumerate(buffers) if b.gaps},
            capacity=None if capacity is None else min(max(capacity, -1), _INT64[-1]),
            seconds=seconds,
            progress=progress,
        )
    except ValueError as error:
        raise _input_error(buffers, error) from error
    except OverflowError as error:
        raise _overflow(buffers) from error
    result = Plan(
        offsets={b.id: offset for b, offset in zip(buffers, offsets, strict=True)},
        arena_bytes=arena_bytes,
        lower_bound_bytes=lower_bound_bytes,
        optimal=arena_bytes == lower_bound_bytes,
        ending=Ending(ending),
    )
    validate(buffers, result)
    return result


def _check_ids(buffers: Sequence[Buffer]) -> None:
    seen: set[str] = set()
    for buffer in buffers:
        if buffer.id in seen:
            raise InputError(f"two buffers have the id {buffer.id!r}: give each its own")
        seen.add(buffer.id)


def _input_error(buffers: Sequence[Buffer], error: ValueError) -> InputError:
    rule, positions = error.args
    if not positions:
        return InputError(str(rule))
    names = " and ".join(repr(buffers[position].id) for position in positions)
    return InputError(f"buffer {names}: {rule}" if len(positions) == 1 else f"{names}: {rule}")


def _overflow(buffers: Sequence[Buffer]) -> InputError:
    for buffer in buffers:
        steps = [step for gap in buffer.gaps for step in gap]
        values = [buffer.lower, buffer.upper, buffer.size, buffer.alignment, *steps]
        if buffer.pinned is not None:
            values.append(buffer.pinned)
        for value in values:
            if value not in _INT64:
                return InputError(f"buffer {buffer.id!r}: {value} does not fit 64 bits")
    return InputError("seconds is too large")
