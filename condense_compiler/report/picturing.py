"""Making the picture of a compilation from the records that its stages leave."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from condense_compiler.memory.buffers import Plan
from condense_compiler.memory.lifetimes import find_lifetimes
from condense_compiler.memory.placement import Placement
from condense_compiler.memory.scheduling import Schedule
from condense_compiler.memory.sharing import Sharing, Writing
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.definition import Kind
from condense_compiler.report.ghosts import find_gone
from condense_compiler.report.measure import Given
from condense_compiler.report.picture import FeatureMap, Picture, PictureStep, PlanPicture
from condense_compiler.report.records import OperatorRecord, record_operators, record_tensor
from condense_compiler.rewriting.runner import AppliedPass


def draw(
    given: Given,
    before: Plan,
    sharing: Sharing,
    scheduled: Schedule,
    placement: Placement,
    applied: Sequence[AppliedPass],
) -> Picture:
    """Return the picture of a compilation."""
    passes = frozenset(step.name for step in applied)
    proved = scheduled.proves(placement.plan.arena_bytes)
    after = replace(_After(sharing, placement, passes).plan(), order_optimal=proved)
    stored = Picture(given.name, draw_given(given, before), after, ())
    return replace(stored, gone=find_gone(given, sharing, stored))


def draw_given(given: Given, plan: Plan) -> PlanPicture:
    """Return the picture of a network as given: every feature map stored."""
    writers = {name: operator for operator in given.operators for name in operator.writes}
    readers: dict[str, list[str]] = defaultdict(list)
    for operator in given.operators:
        for name in operator.reads:
            readers[name].append(operator.name)
    maps = []
    for buffer in given.buffers:
        writer, record = writers.get(buffer.id), given.tensors[buffer.id]
        kept = buffer.id in given.outputs
        maps.append(
            FeatureMap(
                tensor=buffer.id,
                operator=writer.name if writer else "",
                op=writer.op if writer else "",
                kind=_kind(writer, kept),
                shape=record.shape,
                dtype=record.dtype,
                size=buffer.size,
                offset=plan.offsets[buffer.id],
                first=buffer.lower,
                last=buffer.upper - 1,
                readers=tuple(readers[buffer.id]),
                kept=kept,
                storage=buffer.id,
            )
        )
    spans = [(each.lower, each.upper, each.size) for each in given.buffers]
    return _plan(plan, maps, [(operator,) for operator in given.operators], spans)


def _kind(writer: OperatorRecord | None, kept: bool) -> Kind:
    if writer is None:
        return Kind.INPUT
    return Kind.OUTPUT if kept else writer.kind


def _plan(
    plan: Plan,
    maps: Iterable[FeatureMap],
    running: Sequence[tuple[OperatorRecord, ...]],
    spans: Iterable[tuple[int, int, int]],
) -> PlanPicture:
    loads = loads_of(spans, len(running))
    steps = (
        PictureStep(
            operators=tuple(operator.name for operator in operators),
            ops=tuple(operator.op for operator in operators),
            kind=operators[0].kind,
            load=load,
        )
        for operators, load in zip(running, loads, strict=True)
    )
    ordered = sorted(maps, key=lambda each: each.first)
    return PlanPicture(
        arena_bytes=plan.arena_bytes,
        lower_bound_bytes=plan.lower_bound_bytes,
        optimal=plan.optimal,
        order_optimal=False,
        maps=tuple(ordered),
        steps=tuple(steps),
    )


def loads_of(spans: Iterable[tuple[int, int, int]], count: int) -> list[int]:
    """Return the bytes alive at each step, from half-open lifetimes and sizes."""
    changes = [0] * (count + 1)
    for lower, upper, size in spans:
        changes[min(max(lower, 0), count)] += size
        changes[min(upper, count)] -= size
    return list(itertools.accumulate(changes))[:count]


class _After:
    """The plan of the compiled network; every byte that an operator writes is drawn once."""

    def __init__(self, sharing: Sharing, placement: Placement, passes: frozenset[str]) -> None:
        self._sharing = sharing
        self._placement = placement
        self._passes = passes
        self._operators = record_operators(sharing.order)
        self._lives = find_lifetimes(sharing, placement.steps)
        self._sharers = _sharers(sharing)
        self._taken_by = _taken_by(sharing, placement)

    def plan(self) -> PlanPicture:
        steps, storages = self._placement.steps, self._placement.storages
        maps = [
            self._map(number, writing)
            for number, writing in enumerate(self._sharing.writings)
            if writing.size and number in self._lives.first
        ]
        parts = (part for storage in storages for part in storage.parts)
        spans = [(part.lower, part.upper, part.top - part.bottom) for part in parts]
        running = [tuple(self._operators[number] for number in numbers) for numbers in steps]
        return _plan(self._placement.plan, maps, running, spans)

    def _map(self, number: int, writing: Writing) -> FeatureMap:
        writer = None if writing.writer is None else self._operators[writing.writer]
        record = record_tensor(self._sharing.tensors[writing.tensor])
        others = [name for name in self._sharers[number] if name != writing.tensor]
        return FeatureMap(
            tensor=writing.tensor,
            operator=writer.name if writer else "",
            op=writer.op if writer else "",
            kind=_kind(writer, writing.kept),
            shape=record.shape,
            dtype=record.dtype,
            size=writing.size,
            offset=self._offset(number, writing),
            first=self._lives.first[number],
            last=self._lives.last[number],
            readers=tuple(self._operators[reader].name for reader in writing.readers),
            kept=writing.kept,
            pass_name=_pass_of(writer.name, self._passes) if writer else "",
            storage=self._placement.storage_of[writing.tensor],
            overwrites=self._placement.overwritten.get(writing.tensor, ""),
            overwritten_by=self._taken_by.get(number, ""),
            part_of=tuple(name for name in others if self._is_concatenation(name)),
            views=tuple(name for name in others if not self._is_concatenation(name)),
        )

    def _offset(self, number: int, writing: Writing) -> int:
        group = self._sharing.positions.group_of(writing.tensor)
        bottom = next(each.bottom for each in group.stretches if each.number == number)
        return self._placement.offsets[writing.tensor] + bottom - group.tensors[writing.tensor]

    def _is_concatenation(self, name: str) -> bool:
        makers = self._sharing.tensors[name].inputs
        return bool(makers) and makers[0].op == "Concat"


def _sharers(sharing: Sharing) -> Mapping[int, Sequence[str]]:
    """Return the tensors that hold bytes of each writing, by its number."""
    found: dict[int, list[str]] = defaultdict(list)
    for name, tensor in sharing.tensors.items():
        for stretch in sharing.positions.stretches_of(name, tensor_bytes(tensor)):
            found[stretch.number].append(name)
    return found


def _taken_by(sharing: Sharing, placement: Placement) -> Mapping[int, str]:
    """Return the tensor that takes the place of each writing, by its number."""
    return {
        stretch.number: result
        for result, source in placement.overwritten.items()
        for stretch in sharing.positions.stretches_of(source, tensor_bytes(sharing.tensors[source]))
    }


def _pass_of(operator: str, passes: frozenset[str]) -> str:
    """Return the pass that made an operator: they call new ones `pass/node`."""
    name = operator.partition("/")[0]
    return name if name in passes else ""
