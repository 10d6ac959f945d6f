"""The picture of the chip's memory: maps that stay there, and stripes of those that do not."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import onnx_graphsurgeon as gs

from condense_compiler.memory.planner import plan
from condense_compiler.operators.definition import Kind
from condense_compiler.operators.registry import kind_of
from condense_compiler.report.measure import Given
from condense_compiler.report.picture import FeatureMap, Picture, PictureStep, PlanPicture
from condense_compiler.report.picturing import draw_given, loads_of
from condense_compiler.targets.accelerator.codegen.in_place import overwriting
from condense_compiler.targets.accelerator.codegen.placement import MemoryPlan, lifetimes
from condense_compiler.targets.accelerator.footprint import working_set_bytes
from condense_compiler.targets.accelerator.given_codes import in_codes
from condense_compiler.targets.accelerator.integer.network import (
    Binary,
    Convolution,
    IntegerNetwork,
    Lookup,
    Map,
    Operator,
    SpatialPooling,
)

_KINDS: Mapping[type[Operator], Kind] = {
    Binary: Kind.ELEMENT_WISE,
    Convolution: Kind.CONVOLUTION,
    Lookup: Kind.ELEMENT_WISE,
    SpatialPooling: Kind.POOLING,
}

# What runs one after the other: a placed network, or a node that runs elsewhere.
Piece: TypeAlias = "tuple[IntegerNetwork, MemoryPlan] | gs.Node"


def draw(given: Given, pieces: Sequence[Piece]) -> Picture:
    """Return the picture of a compilation.

    Args:
        given: The network as given.
        pieces: What it became.
    """
    coded = in_codes(given)
    before = draw_given(coded, plan(coded.buffers))
    return Picture(given.name, before, _after(pieces), ())


def _after(pieces: Sequence[Piece]) -> PlanPicture:
    maps: list[FeatureMap] = []
    steps: list[PictureStep] = []
    arena_bytes = bound_bytes = needed_bytes = 0
    for piece in pieces:
        if isinstance(piece, gs.Node):
            steps.append(PictureStep((piece.name,), (piece.op,), kind_of(piece), 0))
            continue
        network, memory = piece
        maps += [*_Chip(network, memory, len(steps)).maps()]
        steps += _steps(network, memory)
        arena_bytes = max(arena_bytes, memory.chip_bytes)
        bound_bytes = max(bound_bytes, memory.chip_bound_bytes)
        needed_bytes = max(needed_bytes, working_set_bytes(memory))
    maps.sort(key=lambda each: each.first)
    return PlanPicture(
        arena_bytes=arena_bytes,
        lower_bound_bytes=bound_bytes,
        optimal=arena_bytes == bound_bytes,
        order_optimal=arena_bytes <= needed_bytes,
        maps=tuple(maps),
        steps=tuple(steps),
    )


def _steps(network: IntegerNetwork, memory: MemoryPlan) -> Iterator[PictureStep]:
    alive = lifetimes(network)
    spans = [(*alive[root], root.size_bytes) for root in memory.chip]
    spans += [(step, step + 1, t.staging_bytes) for step, t in enumerate(memory.tilings)]
    # Where a result takes the place of a map, both are the same bytes.
    spans += [(step, step + 1, -old.size_bytes) for step, (old, _) in _replaced(network, memory)]
    for operator, load in zip(
        network.operators, loads_of(spans, len(network.operators)), strict=True
    ):
        yield PictureStep((operator.name,), (type(operator).__name__,), _kind(operator), load)


def _replaced(network: IntegerNetwork, memory: MemoryPlan) -> list[tuple[int, tuple[Map, Map]]]:
    pairs = overwriting(network, lifetimes(network)).items()
    return [(step, pair) for step, pair in pairs if memory.chip.keys() >= set(pair)]


def _kind(operator: Operator) -> Kind:
    pools = isinstance(operator, Convolution) and (operator.pooling or operator.spatial)
    return Kind.FUSED if pools else _KINDS[type(operator)]


class _Chip:
    """What lies on the chip while one network runs.

    Attributes:
        network: The network.
        memory: Where its maps lie.
        start: Steps of the picture before its first operator.
    """

    def __init__(self, network: IntegerNetwork, memory: MemoryPlan, start: int) -> None:
        self.network, self.memory, self.start = network, memory, start
        self._alive = lifetimes(network)
        replaced = [pair for _, pair in _replaced(network, memory)]
        self._replaces = {new: old.name for old, new in replaced}
        self._replaced_by = {old: new.name for old, new in replaced}
        self._outputs = {port.map.root()[0] for port in network.outputs.values()}

    def maps(self) -> Iterator[FeatureMap]:
        """Yield every map and every set of stripes."""
        yield from map(self._map, self.memory.chip)
        for step, tiling in enumerate(self.memory.tilings):
            if tiling.staging_bytes:
                yield self._stripes(step, tiling.staging_bytes)

    def _map(self, root: Map) -> FeatureMap:
        first, upper = self._alive[root]
        operators = self.network.operators
        writers = [o for o in operators if o.output.root()[0] is root]
        kept = root in self._outputs
        kind = Kind.INPUT if not writers else Kind.OUTPUT if kept else _kind(writers[0])
        return FeatureMap(
            tensor=root.name,
            operator=writers[0].name if writers else "",
            op=type(writers[0]).__name__ if writers else "",
            kind=kind,
            shape=(1, *root.shape),
            dtype="int8",
            size=root.size_bytes,
            offset=self.memory.chip[root],
            first=self.start + first,
            last=self.start + upper - 1,
            readers=tuple(o.name for o in operators if any(m.root()[0] is root for m in o.inputs)),
            kept=kept,
            storage=root.name,
            overwrites=self._replaces.get(root, ""),
            overwritten_by=self._replaced_by.get(root, ""),
        )

    def _stripes(self, step: int, size: int) -> FeatureMap:
        operator = self.network.operators[step]
        name = f"{operator.name}/stripes"
        return FeatureMap(
            tensor=name,
            operator=operator.name,
            op=type(operator).__name__,
            kind=Kind.MOVED,
            shape=(size,),
            dtype="int8",
            size=size,
            offset=self.memory.staging[step],
            first=self.start + step,
            last=self.start + step,
            readers=(operator.name,),
            kept=False,
            storage=name,
        )
