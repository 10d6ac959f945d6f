"""Inputs and outputs as quantised values: what a device hands over and takes back.

A network in 8 bits as tools write it takes and gives float32: each input is quantised first, each
output dequantised last. Where the caller has quantised values anyway, these operators go, and with
them the largest map of many a network. What the values mean stands in the model's metadata.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.external_data_helper import uses_external_data

from condense_compiler.errors import InputError
from condense_compiler.network.tensors import numpy_type, type_name
from condense_compiler.network.traversal import nodes_within, reads

GIVEN, QUANTISED = "given", "quantised"
FORMS = (GIVEN, QUANTISED)

_KEY = "condense.quantised_values"
_QUANTISERS = ("", "ai.onnx", "com.microsoft")
# Operators that give values another shape or order, through which quantisation is looked for.
_MOVES = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_PARAMETERS = 3  # data, scale, zero point


@dataclass(frozen=True, slots=True)
class QuantisedValue:
    """What the 8-bit values of an input or output mean: (value - zero_point) * scale.

    Attributes:
        name: Name of the input or output.
        dtype: `int8` or `uint8`.
        scale: Difference of two neighbouring values.
        zero_point: The quantised value of zero.
    """

    name: str
    dtype: str
    scale: float
    zero_point: int


def quantise_interface(model: onnx.ModelProto) -> None:
    """Make inputs that are quantised first, and outputs that are dequantised last, 8-bit, in place.

    Others stay as they are.

    Raises:
        InputError: No input and no output is quantised with one known scale.
    """
    graph = model.graph
    found = [*_quantise_inputs(graph), *_dequantise_outputs(graph)]
    if not found:
        raise InputError(
            "no input or output of the model is quantised with one scale that the file holds; "
            "compile without --io quantised, or quantise the model first"
        )
    entry = model.metadata_props.add()
    entry.key, entry.value = _KEY, json.dumps([asdict(value) for value in found])


def quantised_values(header: onnx.ModelProto) -> list[QuantisedValue]:
    """Return the inputs and outputs of a model that were made quantised values."""
    texts = [entry.value for entry in header.metadata_props if entry.key == _KEY]
    return [QuantisedValue(**fields) for text in texts for fields in json.loads(text)]


def _quantise_inputs(graph: onnx.GraphProto) -> Iterator[QuantisedValue]:
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for declared in graph.input:
        if declared.name in stored or not _is_float(declared):
            continue
        moved, quantising = _quantised_behind(graph, declared.name)
        meanings = {_meaning(declared.name, node, stored) for node in quantising}
        meaning = meanings.pop() if len(meanings) == 1 else None
        if meaning is None:
            continue
        for node in quantising:
            _replace_reads(graph, node.output[0], node.input[0])
        _remove(graph, quantising)
        _forget_types(graph, {name for node in moved for name in node.output})
        _set_type(declared, meaning)
        yield meaning


def _quantised_behind(
    graph: onnx.GraphProto, name: str
) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
    """Return what moves a tensor, and what quantises it then; nothing if it is read otherwise."""
    moved, quantising, pending = list[onnx.NodeProto](), list[onnx.NodeProto](), [name]
    outputs = {value.name for value in graph.output}
    while pending:
        tensor = pending.pop()
        if tensor in outputs:
            return [], []
        for node in graph.node:
            if tensor not in reads(node):
                continue
            if node.op_type == "QuantizeLinear" and node.domain in _QUANTISERS:
                if node.output[0] in outputs or node.input[0] != tensor:
                    return [], []
                quantising.append(node)
            elif node.op_type in _MOVES and not node.domain and node.input[0] == tensor:
                moved.append(node)
                pending.append(node.output[0])
            else:
                return [], []
    return moved, quantising


def _dequantise_outputs(graph: onnx.GraphProto) -> Iterator[QuantisedValue]:
    stored = {tensor.name: tensor for tensor in graph.initializer}
    taken = {*stored, *(value.name for value in (*graph.input, *graph.output))}
    for declared in graph.output:
        chain = _dequantised_before(graph, declared.name)
        meaning = _meaning(declared.name, chain[0], stored) if chain else None
        if meaning is None or chain[0].input[0] in taken:
            continue
        _rename(graph, chain[0].input[0], chain[0].output[0])
        _forget_types(graph, {name for node in chain for name in node.output})
        _remove(graph, chain[:1])
        _set_type(declared, meaning)
        yield meaning


def _dequantised_before(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    """Return what dequantises an output, and moves the values then; nothing if others read them."""
    made = {result: node for node in graph.node for result in node.output}
    read = [tensor for node in graph.node for tensor in reads(node)]
    outputs = [value.name for value in graph.output]
    chain = list[onnx.NodeProto]()
    while name in made:
        node = made[name]
        chain.insert(0, node)
        if read.count(name) + outputs.count(name) > 1:
            return []
        if node.op_type == "DequantizeLinear" and node.domain in _QUANTISERS:
            return chain
        if node.op_type not in _MOVES or node.domain:
            return []
        name = node.input[0]
    return []


def _meaning(
    name: str, node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto]
) -> QuantisedValue | None:
    """Return what the quantised values beside an operator mean; None if there is no one answer."""
    parameters = [stored.get(parameter) for parameter in node.input[1:_PARAMETERS] if parameter]
    known = [t for t in parameters if t is not None and not uses_external_data(t)]
    if not known or len(known) < len(parameters):
        return None
    scale, *zeros = (numpy_helper.to_array(tensor) for tensor in known)
    zero = zeros[0] if zeros else np.zeros((), np.uint8)
    if scale.size != 1 or zero.size != 1 or zero.dtype not in (np.int8, np.uint8):
        return None
    number = float(scale.reshape(()))
    return QuantisedValue(name, str(zero.dtype), number, int(zero.reshape(())))


def _is_float(declared: onnx.ValueInfoProto) -> bool:
    kind = declared.type.tensor_type.elem_type
    return bool((kind and numpy_type(kind).kind == "f") or type_name(kind) == "bfloat16")


def _set_type(declared: onnx.ValueInfoProto, meaning: QuantisedValue) -> None:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(meaning.dtype))
    declared.type.tensor_type.elem_type = kind


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Call a tensor otherwise where it is made and where it is read."""
    for node in graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
    _replace_reads(graph, old, new)
    _forget_types(graph, {old})


def _replace_reads(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in nodes_within(graph.node):
        node.input[:] = [new if name == old else name for name in node.input]


def _remove(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    for node in nodes:
        graph.node.remove(node)


def _forget_types(graph: onnx.GraphProto, names: set[str]) -> None:
    """Drop what the file says about tensors that are of another type now."""
    kept = [value for value in graph.value_info if value.name not in names]
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in kept]
    del graph.value_info[:]
    graph.value_info.extend(copies)
