"""Which results may take the place of what their operator reads for the last time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from condense_compiler.memory.positions import Stretch
from condense_compiler.memory.sharing import Sharing
from condense_compiler.network.tensors import tensor_bytes
from condense_compiler.operators.aliasing import accumulates, is_addition, overwritable_inputs


@dataclass(frozen=True, slots=True)
class Overwriting:
    """A result that may start where an input starts, if the input is not needed afterwards.

    Attributes:
        operator: Position of the operator in the order of the file.
        source: Name of the input.
        result: Name of the output.
        stretches: Numbers of the writings that the output covers of the input; all must end here.
        written: Numbers of the writings that make up the output.
        saved_bytes: Bytes that the result and the input have in common.
    """

    operator: int
    source: str
    result: str
    stretches: tuple[int, ...]
    written: tuple[int, ...]
    saved_bytes: int


@dataclass(frozen=True, slots=True)
class Accumulating:
    """A convolution whose result is added straight to the other operand of an addition.

    Either may have an epilogue: the convolution's runs before that, the addition's on the sum.

    Attributes:
        producer: Position of the convolution.
        overwriting: How the addition's result takes the place of the other operand.
    """

    producer: int
    overwriting: Overwriting


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that may take the place of something else.

    Attributes:
        overwritings: For each operator, by its position.
        accumulatings: For each pair of producer and addition.
    """

    overwritings: Mapping[int, Sequence[Overwriting]]
    accumulatings: Mapping[tuple[int, ...], Overwriting]

    def at(self, operators: tuple[int, ...]) -> Sequence[Overwriting]:
        """Return the options of a step."""
        if len(operators) == 1:
            return self.overwritings.get(operators[0], ())
        accumulating = self.accumulatings.get(operators)
        return (accumulating,) if accumulating is not None else ()


def find_options(sharing: Sharing) -> Options:
    """Return all options of a network."""
    overwritings: dict[int, list[Overwriting]] = {}
    for option in find_overwritings(sharing):
        overwritings.setdefault(option.operator, []).append(option)
    pairs: dict[tuple[int, ...], Overwriting] = {
        (pair.producer, pair.overwriting.operator): pair.overwriting
        for pair in find_accumulatings(sharing)
    }
    return Options(overwritings, pairs)


def find_overwritings(sharing: Sharing) -> list[Overwriting]:
    """Return every way in which an operator's result may take an input's place."""
    return [
        option
        for number, node in enumerate(sharing.order)
        if number not in sharing.idle
        for option in _options(sharing, number, node, overwritable_inputs(node))
    ]


def find_accumulatings(sharing: Sharing) -> list[Accumulating]:
    """Return every convolution that may be added straight into what it is added to."""
    producers = {
        tensor.name: number
        for number, node in enumerate(sharing.order)
        for tensor in node.outputs
        if accumulates(node)
    }
    found: list[Accumulating] = []
    for number, node in enumerate(sharing.order):
        if number in sharing.idle or not is_addition(node):
            continue
        able = overwritable_inputs(node)
        for index, tensor in enumerate(node.inputs):
            producer = producers.get(tensor.name)
            # What is spread over the sum, by broadcasting, cannot be added as it is computed.
            if producer is None or index not in able or not _is_private(sharing, tensor, number):
                continue
            others = [i for i in able if node.inputs[i].name != tensor.name]
            for option in _options(sharing, number, node, others):
                readers = (sharing.writings[s].readers for s in option.stretches)
                if not any(producer in known for known in readers):
                    found.append(Accumulating(producer, option))
    return found


def _options(
    sharing: Sharing, number: int, node: gs.Node, indices: list[int]
) -> Iterator[Overwriting]:
    result = node.outputs[0]
    if result.is_empty():  # nobody wants the first output, as of an LSTM whose last state is read
        return
    written = _stretches(sharing, result)
    if not written or any(sharing.writings[s.number].writer != number for s in written):
        return
    readings = _readings(sharing, node)
    for index in indices:
        source = node.inputs[index]
        if not sharing.stores(source.name):
            continue
        size = min(tensor_bytes(source), tensor_bytes(result))
        stretches = sharing.positions.stretches_of(source.name, size)
        if _is_free_to_take(sharing, source, stretches, readings):
            yield Overwriting(
                number,
                source.name,
                result.name,
                tuple(stretch.number for stretch in stretches),
                tuple(stretch.number for stretch in written),
                size,
            )


def _stretches(sharing: Sharing, tensor: gs.Tensor) -> list[Stretch]:
    return sharing.positions.stretches_of(tensor.name, tensor_bytes(tensor))


def _readings(sharing: Sharing, node: gs.Node) -> dict[int, set[str]]:
    """Return the inputs of a node, by name, that hold bytes of each writing."""
    readings: dict[int, set[str]] = {}
    for tensor in {tensor.name: tensor for tensor in node.inputs}.values():
        if sharing.stores(tensor.name):
            for stretch in _stretches(sharing, tensor):
                readings.setdefault(stretch.number, set()).add(tensor.name)
    return readings


def _is_free_to_take(
    sharing: Sharing, source: gs.Tensor, stretches: list[Stretch], readings: dict[int, set[str]]
) -> bool:
    """Tell whether only this operator's own reading stands against writing over an input."""
    bottom = sharing.positions.group_of(source.name).tensors[source.name]
    top = bottom + tensor_bytes(source)
    if any(s.bottom < bottom or s.top > top or sharing.writings[s.number].kept for s in stretches):
        return False
    return all(len(readings[stretch.number]) == 1 for stretch in stretches)


def _is_private(sharing: Sharing, tensor: gs.Tensor, reader: int) -> bool:
    """Tell whether a tensor has memory of its own that one operator alone reads."""
    group = sharing.positions.group_of(tensor.name)
    if len(group.tensors) != 1 or len(group.stretches) != 1:
        return False
    writing = sharing.writings[group.stretches[0].number]
    return writing.readers == [reader] and not writing.kept
