"""A quantised model in ONNX Runtime's operators on quantised values, by rules of our own.

Its optimiser does the same, but by rules that differ between versions and processors. What results
are compared with must not: so these operators are put in here, and run with the optimiser off.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]

_OF_ONNX_RUNTIME = "com.microsoft"
_BIAS_TOLERANCE = 1e-5  # relative, between the scale of a bias and that of the sums
_INT32 = (np.iinfo(np.int32).min, np.iinfo(np.int32).max)
_CODES = (TensorProto.INT8, TensorProto.UINT8)


@dataclass(slots=True)
class _Writer:
    """The model while operators on quantised values are put in.

    Attributes:
        graph: Its graph.
        stored: Constants by name.
        makers: What computes each tensor.
        readers: What reads it; graph outputs are read by None.
    """

    graph: onnx.GraphProto
    stored: dict[str, onnx.TensorProto]
    makers: dict[str, onnx.NodeProto]
    readers: dict[str, list[onnx.NodeProto | None]]

    def operand(self, name: str, axis: int | None = None) -> list[str] | None:
        """Return codes, scale and zero point of an operand.

        Args:
            name: The operand.
            axis: Along which scales may differ.

        Returns:
            None if it is not dequantised from 8 bits so.
        """
        maker = self.makers.get(name)
        if maker is None or maker.op_type != "DequantizeLinear" or maker.domain:
            return None
        names = self._parameters(maker)
        if names is None or (axis is None and self.size(names[1]) > 1):
            return None
        own = next((a.i for a in maker.attribute if a.name == "axis"), 1)
        return names if self.size(names[1]) == 1 or own == axis else None

    def result(self, name: str) -> tuple[onnx.NodeProto, list[str]] | None:
        """Return what alone reads and quantises a result, with its scale and zero point."""
        reader = self.readers[name][0] if len(self.readers.get(name, ())) == 1 else None
        if reader is None or reader.op_type != "QuantizeLinear" or reader.domain:
            return None
        names = self._parameters(reader)
        return None if names is None or self.size(names[1]) > 1 else (reader, names[1:])

    def size(self, name: str) -> int:
        """Return the number of values of a constant."""
        return int(np.prod(self.stored[name].dims))

    def values(self, name: str) -> Array:
        """Return the values of a constant, flat."""
        return numpy_helper.to_array(self.stored[name]).astype(np.float64).reshape(-1)

    def _parameters(self, node: onnx.NodeProto) -> list[str] | None:
        """Return data, scale and zero point that a node reads; None if these are not constant."""
        data, scale, *zero = node.input
        if scale not in self.stored:
            return None
        if not zero or not zero[0]:
            zero = [f"{scale}/no_zero"]
            known = self.stored.get(data)
            dtype = np.uint8 if known is None else numpy_helper.to_array(known).dtype
            zeros = np.zeros(tuple(self.stored[scale].dims), dtype)
            self.store(zero[0], zeros)
        found = self.stored.get(zero[0])
        return None if found is None or found.data_type not in _CODES else [data, scale, zero[0]]

    def store(self, name: str, values: Array) -> str:
        """Add a constant; return its name."""
        if name not in self.stored:
            self.stored[name] = numpy_helper.from_array(values, name)
            self.graph.initializer.append(self.stored[name])
        return name


Inputs = Callable[[_Writer, onnx.NodeProto, Sequence[str]], list[str] | None]


def on_codes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose operators between quantised values are on these, where there is one."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    writer = _Writer(graph, {t.name: t for t in graph.initializer}, {}, {})
    for node in graph.node:
        writer.makers |= dict.fromkeys(node.output, node)
        for name in node.input:
            writer.readers.setdefault(name, []).append(node)
    for value in graph.output:
        writer.readers.setdefault(value.name, []).append(None)
    nodes = list(_rewritten(writer, list(graph.node)))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    if _OF_ONNX_RUNTIME not in {entry.domain for entry in changed.opset_import}:
        changed.opset_import.append(helper.make_opsetid(_OF_ONNX_RUNTIME, 1))
    return changed


def _rewritten(writer: _Writer, nodes: Sequence[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    gone: set[int] = set()
    for node in nodes:
        found = _on_codes(writer, node)
        if found is not None:
            gone.add(id(found[1]))
            yield found[0]
        elif id(node) not in gone:
            yield node


def _on_codes(
    writer: _Writer, node: onnx.NodeProto
) -> tuple[onnx.NodeProto, onnx.NodeProto] | None:
    """Return an operator on quantised values, and the QuantizeLinear that it makes unnecessary."""
    rule = None if node.domain else _RULES.get(node.op_type)
    result = writer.result(node.output[0]) if rule is not None else None
    if rule is None or result is None:
        return None
    op, domain, inputs_of = rule
    quantise, parameters = result
    inputs = inputs_of(writer, node, parameters)
    if inputs is None:
        return None
    made = helper.make_node(op, inputs, list(quantise.output), node.name, domain=domain)
    made.attribute.extend(a for a in node.attribute if a.name != "beta")
    return made, quantise


def _layer(axis_of: Callable[[onnx.NodeProto], int], *, bias_last: bool) -> Inputs:
    def inputs(writer: _Writer, node: onnx.NodeProto, result: Sequence[str]) -> list[str] | None:
        data = writer.operand(node.input[0])
        filters = writer.operand(node.input[1], axis_of(node))
        if data is None or filters is None:
            return None
        bias = [""]
        if len(node.input) > 2 and node.input[2]:
            found = _bias(writer, node.input[2], data[1], filters[1])
            if found is None:
                return None
            bias = [found]
        tail = [*result, *bias] if bias_last else [*bias, *result]
        return [*data, *filters, *(tail if tail[-1] else tail[:-1])]

    return inputs


def _bias(writer: _Writer, name: str, data: str, filters: str) -> str | None:
    """Return the whole numbers of a bias in units of the sums; None if it is in others."""
    unit = writer.values(data) * writer.values(filters)
    if name in writer.stored:
        steps = np.rint(writer.values(name) / unit)
        return writer.store(f"{name}/{filters}/steps", np.clip(steps, *_INT32).astype(np.int32))
    maker = writer.makers.get(name)
    if maker is None or maker.op_type != "DequantizeLinear" or maker.input[1] not in writer.stored:
        return None
    scale = writer.values(maker.input[1])
    return maker.input[0] if np.allclose(scale, unit, rtol=_BIAS_TOLERANCE, atol=0.0) else None


def _operands(writer: _Writer, node: onnx.NodeProto, result: Sequence[str]) -> list[str] | None:
    operands = [writer.operand(name) for name in node.input]
    known = [names for names in operands if names is not None]
    if len(known) < len(operands):
        return None
    return [*(name for names in known for name in names), *result]


def _gemm_axis(node: onnx.NodeProto) -> int:
    return 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1


_RULES: Mapping[str, tuple[str, str, Inputs]] = {
    "Add": ("QLinearAdd", _OF_ONNX_RUNTIME, _operands),
    "AveragePool": ("QLinearAveragePool", _OF_ONNX_RUNTIME, _operands),
    "Conv": ("QLinearConv", "", _layer(lambda _node: 0, bias_last=True)),
    "Gemm": ("QGemm", _OF_ONNX_RUNTIME, _layer(_gemm_axis, bias_last=False)),
    "GlobalAveragePool": ("QLinearGlobalAveragePool", _OF_ONNX_RUNTIME, _operands),
    "MatMul": ("QLinearMatMul", "", _layer(lambda _node: 1, bias_last=True)),
    "Mul": ("QLinearMul", _OF_ONNX_RUNTIME, _operands),
}
