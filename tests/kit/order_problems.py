"""Problems for the order search, and the answers that trying every order gives."""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from condense_compiler.memory.scheduler import Accumulation, OrderProblem, Overwrite, StoredMap


def seeded(seed: int) -> random.Random:
    """Return a generator of problems."""
    return random.Random(seed)  # noqa: S311 - problems, not secrets


def least_peak(problem: OrderProblem) -> int:
    """Try every order; what comes behind depends on nothing but the set of finished operators."""
    definition = _Definition(problem)
    everything = frozenset(range(problem.operator_count))

    @cache
    def least(done: frozenset[int]) -> int:
        steps = definition.steps(done)
        return min((max(load, least(behind)) for load, behind in steps), default=0)

    assert not definition.steps(everything)
    given = sum(stored.size for stored in problem.maps if stored.writer is None)
    return max(given, least(frozenset()))


class _Definition:
    """What is stored, and what may run, by definition."""

    def __init__(self, problem: OrderProblem) -> None:
        self._problem = problem
        self._before = [set(others) for others in problem.predecessors]
        for stored in problem.maps:
            for reader in stored.readers:
                self._before[reader] |= set() if stored.writer is None else {stored.writer}

    def alive(self, done: frozenset[int]) -> int:
        return sum(m.size for m in self._problem.maps if self._is_alive(m, done))

    def _is_alive(self, stored: StoredMap, done: frozenset[int]) -> bool:
        written = stored.writer is None or stored.writer in done
        return written and (stored.kept or not done.issuperset(stored.readers))

    def steps(self, done: frozenset[int]) -> list[tuple[int, frozenset[int]]]:
        """Return the load of each step that may come next, and what has run behind it."""
        stored = self.alive(done)
        steps = []
        for operator in set(range(self._problem.operator_count)) - done:
            if not self._before[operator] <= done:
                continue
            if operator in self._problem.releasing:
                load = stored + self._written(operator) - self._freed(operator, done)
                steps.append((load, done | {operator}))
                continue
            options = (o for o in self._problem.overwrites if o.operator == operator)
            saved = [o.saved_bytes for o in options if self._die(o.maps, done, operator)]
            room = self._written(operator) - max(saved, default=0)
            steps.append((stored + room, done | {operator}))
            for pair in self._pairs(operator, done):
                room = self._written(pair.consumer) - pair.saved_bytes
                steps.append((stored + room, done | {operator, pair.consumer}))
        return steps

    def _pairs(self, producer: int, done: frozenset[int]) -> list[Accumulation]:
        return [
            pair
            for pair in self._problem.accumulations
            if pair.producer == producer
            and self._before[pair.consumer] <= done | {producer}
            and self._die(pair.maps, done, pair.consumer)
        ]

    def _die(self, maps: tuple[int, ...], done: frozenset[int], operator: int) -> bool:
        stored = [self._problem.maps[position] for position in maps]
        return all(not m.kept and set(m.readers) <= done | {operator} for m in stored)

    def _freed(self, operator: int, done: frozenset[int]) -> int:
        """Return the bytes of what dies at an operator."""
        numbers = [n for n, m in enumerate(self._problem.maps) if operator in m.readers]
        return sum(
            self._problem.maps[number].size
            for number in numbers
            if self._die((number,), done, operator)
        )

    def _written(self, operator: int) -> int:
        return sum(m.size for m in self._problem.maps if m.writer == operator)


def arbitrary_problem(rng: random.Random) -> OrderProblem:
    """Anything goes: several results, results that nobody reads, savings of any size."""
    count = rng.randint(0, 8)
    largest, density = rng.choice([3, 6, 20]), rng.choice([0.15, 0.3, 0.5])
    maps = []
    for operator in range(-rng.randint(0, 2), count):
        for _ in range(1 if operator < 0 else rng.choice([1, 1, 1, 2, 0])):
            first = max(operator + 1, 0)
            readers = tuple(r for r in range(first, count) if rng.random() < density)
            writer = None if operator < 0 else operator
            maps.append(StoredMap(rng.randint(0, largest), writer, readers, rng.random() < 0.1))
    extra = rng.choice([0, 0.1])
    before = [tuple(o for o in range(v) if rng.random() < extra) for v in range(count)]
    problem = OrderProblem(count, tuple(before), tuple(maps))

    def some_maps(operator: int, candidates: list[int]) -> tuple[tuple[int, ...], int]:
        chosen = tuple(rng.sample(candidates, rng.randint(1, min(2, len(candidates)))))
        room = sum(maps[position].size for position in chosen)
        most = min(room, sum(m.size for m in maps if m.writer == operator))
        return chosen, rng.choice([most, rng.randint(0, most)])

    overwrites: list[Overwrite] = []
    for operator in range(count):
        read = [position for position, m in enumerate(maps) if operator in m.readers]
        number = rng.choice([0, 1, 1, 2]) if read else 0
        overwrites += [Overwrite(operator, *some_maps(operator, read)) for _ in range(number)]
    accumulations: list[Accumulation] = []
    for producer, consumer in private_readers(problem):
        read = [
            position
            for position, m in enumerate(maps)
            if consumer in m.readers and producer not in m.readers and m.writer != producer
        ]
        number = rng.choice([0, 1, 1, 2]) if read else 0
        accumulations += [
            Accumulation(producer, consumer, *some_maps(consumer, read)) for _ in range(number)
        ]
    return replace(
        problem,
        overwrites=tuple(overwrites),
        accumulations=tuple(accumulations),
        releasing=_some_releasing(rng, count, accumulations),
    )


def _some_releasing(
    rng: random.Random, count: int, pairs: Sequence[Accumulation]
) -> tuple[int, ...]:
    """Choose operators that only move what they read; those are no convolutions and no sums."""
    others = {operator for pair in pairs for operator in (pair.producer, pair.consumer)}
    share = rng.choice([0, 0.2, 0.6])
    return tuple(o for o in range(count) if o not in others and rng.random() < share)


def network_problem(rng: random.Random) -> OrderProblem:
    """As in networks: one result each, few sizes, element-wise operators and residual sums."""
    count = rng.randint(2, 10)
    sizes = [rng.choice([1, 2, 4])]
    reads: list[list[int]] = []
    elementwise = [rng.random() < 0.6 for _ in range(count)]
    for operator in range(count):
        distances = [int(rng.expovariate(0.5)) for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
        reads.append(sorted({max(operator - distance, 0) for distance in distances}))
        largest = max(sizes[position] for position in reads[operator])
        sizes.append(largest if elementwise[operator] else rng.choice([1, 1, 2, 2, 3, 4]))
    readers = [tuple(v for v in range(count) if p in reads[v]) for p in range(count + 1)]
    maps = tuple(
        StoredMap(
            size, position - 1 if position else None, readers[position], not readers[position]
        )
        for position, size in enumerate(sizes)
    )
    overwrites = tuple(
        Overwrite(v, (p,), sizes[p])
        for v in range(count)
        for p in reads[v]
        if elementwise[v] and sizes[p] == sizes[v + 1] and rng.random() < 0.8
    )
    problem = OrderProblem(count, ((),) * count, maps, overwrites)
    accumulations = tuple(
        Accumulation(p, c, (target,), sizes[c + 1])
        for p, c in private_readers(problem)
        for target in reads[c]
        if elementwise[c]
        and sizes[target] == sizes[c + 1]
        and target != p + 1
        and target not in reads[p]
    )
    moving = _some_releasing(rng, count, accumulations)
    releasing = tuple(operator for operator in moving if not elementwise[operator])
    return replace(problem, accumulations=accumulations, releasing=releasing)


def private_readers(problem: OrderProblem) -> list[tuple[int, int]]:
    """Return each operator whose results one other alone reads, and that other."""
    pairs = []
    for producer in range(problem.operator_count):
        results = [m for m in problem.maps if m.writer == producer]
        consumers = {reader for m in results for reader in m.readers}
        if len(consumers) == 1 and not any(m.kept for m in results):
            pairs.append((producer, *consumers))
    return pairs


def shuffled(problem: OrderProblem, rng: random.Random) -> OrderProblem:
    """Renumber operators and maps."""
    operators = rng.sample(range(problem.operator_count), problem.operator_count)
    rows = rng.sample(range(len(problem.maps)), len(problem.maps))
    row_of = {old: new for new, old in enumerate(rows)}

    def renumber(numbers: Sequence[int]) -> tuple[int, ...]:
        return tuple(operators[number] for number in numbers)

    def moved(maps: Sequence[int]) -> tuple[int, ...]:
        return tuple(row_of[position] for position in maps)

    before: list[tuple[int, ...]] = [()] * problem.operator_count
    for operator, others in enumerate(problem.predecessors):
        before[operators[operator]] = renumber(others)
    maps = [
        replace(
            m,
            writer=None if m.writer is None else operators[m.writer],
            readers=renumber(m.readers),
        )
        for m in problem.maps
    ]
    overwrites = [
        Overwrite(operators[o.operator], moved(o.maps), o.saved_bytes) for o in problem.overwrites
    ]
    pairs = [
        Accumulation(operators[a.producer], operators[a.consumer], moved(a.maps), a.saved_bytes)
        for a in problem.accumulations
    ]
    rng.shuffle(overwrites)
    rng.shuffle(pairs)
    return OrderProblem(
        problem.operator_count,
        tuple(before),
        tuple(maps[row] for row in rows),
        tuple(overwrites),
        tuple(pairs),
        renumber(problem.releasing),
    )


def chain(*sizes: int) -> OrderProblem:
    """Operators one behind the other, each reading what the one before wrote."""
    last = len(sizes) - 1
    maps = [
        StoredMap(size, i - 1 if i else None, (i,) if i < last else (), i == last)
        for i, size in enumerate(sizes)
    ]
    return OrderProblem(last, ((),) * last, tuple(maps))


def hard_problem(operators: int = 300) -> OrderProblem:
    """One that keeps the search busy for long."""
    rng = seeded(5)
    readers: list[set[int]] = [set() for _ in range(operators)]
    for operator in range(1, operators):
        for _ in range(2):
            readers[max(0, operator - 1 - int(rng.expovariate(0.05)))].add(operator)
    maps = [
        StoredMap(rng.randint(50, 150), writer, tuple(sorted(read)), not read)
        for writer, read in enumerate(readers)
    ]
    return OrderProblem(operators, ((),) * operators, tuple(maps))
