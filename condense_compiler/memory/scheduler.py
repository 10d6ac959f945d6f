"""Finds the order with the smallest peak: the native search, and a check of whatever it returns."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from condense_compiler import _native
from condense_compiler.errors import ContractError, InputError
from condense_compiler.memory.buffers import Ending


@dataclass(frozen=True, slots=True)
class StoredMap:
    """A feature map that is stored from its writer to its last reader.

    Attributes:
        size: Bytes.
        writer: The operator that writes it; None for an input of the network, which is stored
            from the start.
        readers: The operators that read it, directly or through views.
        kept: It is an output of the network, stored to the end.
    """

    size: int
    writer: int | None
    readers: tuple[int, ...]
    kept: bool


@dataclass(frozen=True, slots=True)
class Overwrite:
    """An operator may write part of its results over maps that die at it.

    Attributes:
        operator: The operator, a reader of all the maps.
        maps: Positions of the maps. They die at the operator if all their other readers have run
            and none is kept.
        saved_bytes: Bytes of the results that then need no new room while the operator runs.
    """

    operator: int
    maps: tuple[int, ...]
    saved_bytes: int


@dataclass(frozen=True, slots=True)
class Accumulation:
    """Two operators may run as one: the result of the first is added straight into another map.

    Attributes:
        producer: The operator whose results are then never stored.
        consumer: The operator that adds, the only reader of these results.
        maps: Positions of the maps that are added to. They must be there before the producer runs,
            and die at the consumer.
        saved_bytes: Bytes of the consumer's results that then need no new room.
    """

    producer: int
    consumer: int
    maps: tuple[int, ...]
    saved_bytes: int


@dataclass(frozen=True, slots=True)
class OrderProblem:
    """Operators, the feature maps between them, and what they may overwrite.

    Attributes:
        operator_count: Operators are known by the numbers below this.
        predecessors: For each operator, those that must have run before it. The writers of what
            it reads go without saying.
        maps: All feature maps.
        overwrites: Alternatives; an operator uses at most one of its own.
        accumulations: Alternatives; an operator takes part in at most one.
        releasing: Operators that only move what they read: the maps that die at such an operator
            need no room while its results have theirs.
    """

    operator_count: int
    predecessors: tuple[tuple[int, ...], ...]
    maps: tuple[StoredMap, ...]
    overwrites: tuple[Overwrite, ...] = ()
    accumulations: tuple[Accumulation, ...] = ()
    releasing: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """A sequence of operators.

    Attributes:
        steps: Operators in sequence; two in one step where an accumulation is used.
        peak_bytes: The largest load of a step, or what is stored before the first if that is more.
        lower_bound_bytes: No order has a smaller peak.
        optimal: The peak is proved to be the smallest possible.
        states: Sets of operators that the search looked at.
        ending: Why the search stopped; other than `PROVED`, more time may give a better order.
    """

    steps: tuple[tuple[int, ...], ...]
    peak_bytes: int
    lower_bound_bytes: int
    optimal: bool
    states: int = 0
    ending: Ending = Ending.PROVED


def find_order(
    problem: OrderProblem,
    seconds: float | None = None,
    initial: Sequence[int] | None = None,
    *,
    progress: Callable[[int], object] | None = None,
) -> Order:
    """Find the order with the smallest peak of stored bytes.

    Without `seconds` the effort is bounded, and the answer depends on the arguments alone. Ctrl-C
    ends the search; the order is then the best so far, and its `ending` says so.

    Args:
        problem: What to order.
        seconds: Search until the peak is proved to be the smallest, but no longer than this.
        initial: The order to start from, kept wherever nothing is gained by leaving it. The
            operators by their numbers, as far as they allow, if None.
        progress: Called with the peak in bytes when it becomes smaller.

    Returns:
        An order that has passed the check.

    Raises:
        InputError: The problem or the initial order makes no sense; the message says where.
    """
    if len(problem.predecessors) != problem.operator_count:
        raise InputError(
            f"predecessors of {len(problem.predecessors)} operators are given "
            f"for {problem.operator_count}"
        )
    try:
        steps, peak_bytes, lower_bound_bytes, states, ending = _native.find_order(
            [list(before) for before in problem.predecessors],
            [(m.size, m.writer, list(m.readers), m.kept) for m in problem.maps],
            [(o.operator, list(o.maps), o.saved_bytes) for o in problem.overwrites],
            [(a.producer, a.consumer, list(a.maps), a.saved_bytes) for a in problem.accumulations],
            list(problem.releasing),
            initial=None if initial is None else list(initial),
            seconds=seconds,
            progress=progress,
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    except OverflowError as error:
        raise InputError(
            "operators and maps are numbered from 0, and bytes must fit 64 bits"
        ) from error
    order = Order(
        steps=tuple(tuple(step) for step in steps),
        peak_bytes=peak_bytes,
        lower_bound_bytes=lower_bound_bytes,
        optimal=peak_bytes == lower_bound_bytes,
        states=states,
        ending=Ending(ending),
    )
    check_order(problem, order)
    return order


def check_order(problem: OrderProblem, order: Order) -> None:
    """Check that an order can run and has the peak that it claims.

    It replays the order by the definition of a load, independently of the search.

    Raises:
        ContractError: The order is wrong; the message says where.
    """
    step_of = {operator: k for k, step in enumerate(order.steps) for operator in step}
    if sorted(operator for step in order.steps for operator in step) != list(
        range(problem.operator_count)
    ):
        raise ContractError("the order does not run every operator once")
    _check_precedence(problem, order, step_of)
    peak_bytes = max((_stored_at_start(problem), *loads_of(problem, order.steps)))
    if peak_bytes != order.peak_bytes:
        raise ContractError(
            f"the order claims a peak of {order.peak_bytes} bytes, but has {peak_bytes}"
        )
    if order.lower_bound_bytes > peak_bytes:
        raise ContractError(
            f"lower bound {order.lower_bound_bytes} exceeds the peak of {peak_bytes} bytes"
        )
    if order.optimal and order.lower_bound_bytes != peak_bytes:
        raise ContractError(
            f"a peak of {peak_bytes} bytes is called optimal, but only "
            f"{order.lower_bound_bytes} bytes are proved"
        )


def _check_precedence(problem: OrderProblem, order: Order, step_of: dict[int, int]) -> None:
    before = [set(others) for others in problem.predecessors]
    for stored in problem.maps:
        if stored.writer is not None:
            for reader in stored.readers:
                before[reader].add(stored.writer)
    for operator, others in enumerate(before):
        step = order.steps[step_of[operator]]
        for other in others:
            together = len(step) == 2 and step == (other, operator)
            if not together and step_of[other] >= step_of[operator]:
                raise ContractError(f"operator {operator} runs before its predecessor {other}")


def _stored_at_start(problem: OrderProblem) -> int:
    return sum(stored.size for stored in problem.maps if stored.writer is None)


def loads_of(problem: OrderProblem, steps: Sequence[tuple[int, ...]]) -> list[int]:
    """Return the bytes stored while each step runs, by definition.

    Raises:
        ContractError: Two operators cannot run as one.
    """
    step_of = {operator: number for number, step in enumerate(steps) for operator in step}
    changes = [0] * (len(steps) + 1)
    for stored in problem.maps:
        written = -1 if stored.writer is None else step_of[stored.writer]
        last = max((step_of[reader] for reader in stored.readers), default=written)
        end = len(steps) if stored.kept else min(last + 1, len(steps))
        is_last = stored.writer is not None and steps[written][-1] == stored.writer
        start = written if is_last else written + 1
        if start < end or is_last:
            changes[start] += stored.size
            changes[max(end, start + 1) if is_last else end] -= stored.size
    loads = list(itertools.accumulate(changes))[:-1]
    options: dict[tuple[int, ...], list[Overwrite | Accumulation]] = {}
    for overwrite in problem.overwrites:
        options.setdefault((overwrite.operator,), []).append(overwrite)
    for pair in problem.accumulations:
        options.setdefault((pair.producer, pair.consumer), []).append(pair)
    read: dict[int, list[StoredMap]] = {operator: [] for operator in problem.releasing}
    for stored in problem.maps:
        for reader in read.keys() & set(stored.readers):
            read[reader].append(stored)
    return [
        load - _saved(problem, options.get(step, ()), read, step, number, step_of)
        for number, (load, step) in enumerate(zip(loads, steps, strict=True))
    ]


def _saved(
    problem: OrderProblem,
    options: Sequence[Overwrite | Accumulation],
    read: Mapping[int, Sequence[StoredMap]],
    step: tuple[int, ...],
    number: int,
    step_of: dict[int, int],
) -> int:
    """Return the bytes that a step saves by writing over maps that die at it."""

    def dies(stored: StoredMap) -> bool:
        return not stored.kept and all(step_of[reader] <= number for reader in stored.readers)

    def die(maps: tuple[int, ...]) -> bool:
        return all(dies(problem.maps[position]) for position in maps)

    if step[0] in read:
        return sum(stored.size for stored in read[step[0]] if dies(stored))
    possible = [option.saved_bytes for option in options if die(option.maps)]
    if len(step) > 1 and not possible:
        raise ContractError(f"operators {step} cannot run as one")
    return max(possible, default=0)
