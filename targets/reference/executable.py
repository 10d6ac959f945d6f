"""Run a program in one arena: every feature map is a view at its planned offset."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.errors import ContractError, UnsupportedError
from condense_compiler.network import tensor_bytes
from condense_compiler.operators.epilogue import has_epilogue, producer_of
from condense_compiler.program import ScheduledProgram, Step
from condense_compiler.targets.element_types import numpy_dtype
from condense_compiler.targets.feeds import check_feeds
from condense_compiler.targets.reference.epilogues import followed_by_epilogue
from condense_compiler.targets.reference.kernel import (
    ABSENT,
    Array,
    Kernel,
    NodeContext,
    Shape,
)
from condense_compiler.targets.reference.operators import kernel_for
from condense_compiler.targets.reference.overlaps import accumulated_operand, overwritten_inputs
from condense_compiler.targets.reference.weights import known_values

_POISON = 0xFF


@dataclass(frozen=True, slots=True)
class Place:
    """Where a feature map lies in the arena.

    Attributes:
        offset: Its first byte.
        shape: Its shape.
        dtype: Its element type.
    """

    offset: int
    shape: Shape
    dtype: np.dtype[Any]

    @property
    def size_bytes(self) -> int:
        """Bytes that it takes."""
        return prod(self.shape) * self.dtype.itemsize

    def view(self, arena: Array) -> Array:
        """Return the feature map."""
        end = self.offset + self.size_bytes
        return arena[self.offset : end].view(self.dtype).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class PreparedStep:
    """An operator and the names of its tensors.

    Attributes:
        name: Name of the node.
        op: Its operator type.
        kernel: What it computes.
        inputs: Names of its inputs.
        outputs: Names of its outputs.
    """

    name: str
    op: str
    kernel: Kernel
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReferenceExecutable:
    """A program, prepared to run any number of times, also from several threads at once.

    Attributes:
        steps: Operators in the order in which they run.
        places: Every feature map, by name.
        constants: Every weight that an operator or output reads, by name.
        inputs: The graph inputs.
        outputs: Names of the graph outputs.
        arena_bytes: Size of the arena.
        poison: Fill the arena before a run.
    """

    steps: tuple[PreparedStep, ...]
    places: Mapping[str, Place]
    constants: Mapping[str, Array]
    inputs: tuple[gs.Tensor, ...]
    outputs: tuple[str, ...]
    arena_bytes: int
    poison: bool

    @property
    def scratch_bytes(self) -> int:
        """Working memory beside arena and weights: the most that any operator needs."""
        return max((step.kernel.scratch_bytes for step in self.steps), default=0)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Compute the graph outputs.

        Raises:
            InputError: The feeds do not match the graph inputs.
        """
        check_feeds(self.inputs, feeds)
        arena = np.empty(self.arena_bytes, np.uint8)
        if self.poison:
            arena.fill(_POISON)
        scratch = np.empty(max((s.kernel.buffer_bytes for s in self.steps), default=0), np.uint8)
        tensors = {name: place.view(arena) for name, place in self.places.items()}
        tensors |= self.constants
        for name, value in feeds.items():
            np.copyto(tensors[name], value)
        # What overflows or is undefined gives infinity or NaN, as in every other runtime.
        with np.errstate(all="ignore"):
            for step in self.steps:
                inputs = [tensors[name] if name else ABSENT for name in step.inputs]
                outputs = [tensors[name] if name else ABSENT for name in step.outputs]
                step.kernel.compute(inputs, outputs, scratch)
        return {name: tensors[name].copy() for name in self.outputs}

    def save(self, folder: Path) -> None:
        """Add nothing: model and plan are all that this target needs."""

    def facts(self) -> dict[str, object]:
        """Return the scratch of the run and of each operator, and who computes what."""
        others: dict[str, Counter[str]] = {}
        for step in self.steps:
            if not step.kernel.bounded:
                others.setdefault(step.kernel.computed_by, Counter())[step.op] += 1
        return {
            "scratch_bytes": self.scratch_bytes,
            "operators": [
                {"node": step.name, "op": step.op, "scratch_bytes": step.kernel.scratch_bytes}
                for step in self.steps
                if step.kernel.bounded
            ],
            "computed_by": {who: dict(sorted(ops.items())) for who, ops in others.items()},
        }


def prepare(program: ScheduledProgram, poison: bool) -> ReferenceExecutable:
    """Prepare every operator of a program.

    Raises:
        ContractError: The plan gives a feature map no place, one outside the arena, or one that
            its operator cannot write to because of what it reads.
        UnsupportedError: An operator is unknown.
    """
    graph = program.network.graph
    versions = {entry.domain: entry.version for entry in graph.import_domains}
    versions[""] = program.network.opset
    known = known_values(graph, versions)
    tensors = _tensors(graph, program.steps)
    places = {n: _place(program, tensor) for n, tensor in tensors.items() if n not in known}
    return ReferenceExecutable(
        steps=tuple(_prepared(step, versions, places, known) for step in program.steps),
        places=places,
        constants={name: known[name] for name in tensors if name in known},
        inputs=tuple(graph.inputs),
        outputs=tuple(tensor.name for tensor in graph.outputs),
        arena_bytes=program.arena_bytes,
        poison=poison,
    )


def _tensors(graph: gs.Graph, steps: Sequence[Step]) -> dict[str, gs.Tensor]:
    found = [*graph.inputs, *graph.outputs]
    for step in steps:
        found += step.node.inputs
        found += [accumulated_operand(step)] if step.addition is not None else []
        found += _results(step)
    return {tensor.name: tensor for tensor in found if tensor.name}


def _results(step: Step) -> Sequence[gs.Tensor]:
    # What is added in place is never stored by itself.
    outputs: Sequence[gs.Tensor] = (step.addition or step.node).outputs
    return outputs


def _place(program: ScheduledProgram, tensor: gs.Tensor) -> Place:
    place = Place(0, tuple(tensor.shape), numpy_dtype(tensor))
    if place.size_bytes == 0:
        return place
    if place.size_bytes != tensor_bytes(tensor):
        raise UnsupportedError(
            f"feature map {tensor.name!r}: type {place.dtype} takes a part of a byte, "
            "which the reference target does not do"
        )
    if tensor.name not in program.offsets:
        raise ContractError(f"the plan has no place for feature map {tensor.name!r}")
    place = Place(program.offsets[tensor.name], place.shape, place.dtype)
    if place.offset < 0 or place.offset + place.size_bytes > program.arena_bytes:
        raise ContractError(f"the plan places feature map {tensor.name!r} outside the arena")
    return place


def _prepared(
    step: Step,
    versions: Mapping[str, int],
    places: Mapping[str, Place],
    known: Mapping[str, Array],
) -> PreparedStep:
    node = step.node
    context = NodeContext(
        node,
        versions[""],
        overwrites=overwritten_inputs(step, places),
        accumulates=step.addition is not None,
        known=known,
        versions=versions,
    )
    kernel = kernel_for(context)
    if step.addition is not None and has_epilogue(step.addition):
        kernel = followed_by_epilogue(kernel, replace(context, node=step.addition))
    return PreparedStep(
        name=node.name,
        op=producer_of(node).op,
        kernel=kernel,
        inputs=tuple(tensor.name for tensor in node.inputs),
        outputs=tuple(tensor.name for tensor in _results(step)),
    )
