"""Writes ONNX graphs node by node, in the form that the chosen opset wants.

Tensors are known by their names: every method writes what it says and returns the name of the
result, so that a network reads like the calls that compute it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Dimension = int | str  # a name stands for a dimension that is known only when the model runs

AXES_ARE_AN_INPUT_SINCE = {"ReduceSum": 13, "Squeeze": 13, "Unsqueeze": 13}
OTHER_REDUCTIONS = 18  # the other reductions read their axes from an input since this opset


class GraphWriter:
    """A graph under construction."""

    def __init__(self, opset: int, seed: int) -> None:
        self.opset = opset
        self.random = np.random.default_rng(seed)
        self.scope = ""  # stands in front of the names of everything written next
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._written: Counter[str] = Counter()

    def write(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Write a node with one output."""
        return self.write_many(op_type, *inputs, outputs=1, **attributes)[0]

    def write_many(
        self, op_type: str, *inputs: str, outputs: int, **attributes: Any
    ) -> tuple[str, ...]:
        """Write a node with several outputs."""
        name = self._name(op_type)
        results = tuple(f"{name}_output_{index}" for index in range(outputs))
        self.nodes.append(helper.make_node(op_type, inputs, results, name=name, **attributes))
        return results

    def constant(self, values: npt.ArrayLike, name: str = "constant") -> str:
        """Store a tensor: 64-bit for integers, 32-bit for floating-point numbers."""
        array = np.asarray(values)
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64, copy=False)
        return self._store(array, self._name(name))

    def along(self, op_type: str, tensor: str, axes: Sequence[int], **attributes: Any) -> str:
        """Write an operator that works along axes: a reduction, Squeeze or Unsqueeze."""
        if self.opset >= AXES_ARE_AN_INPUT_SINCE.get(op_type, OTHER_REDUCTIONS):
            return self.write(op_type, tensor, self.constant(axes, "axes"), **attributes)
        return self.write(op_type, tensor, axes=list(axes), **attributes)

    def reshape(self, tensor: str, shape: Iterable[int]) -> str:
        """Write a Reshape to constant dimensions."""
        return self.write("Reshape", tensor, self.constant(list(shape), "shape"))

    def split(self, tensor: str, sizes: Sequence[int], axis: int = 1) -> tuple[str, ...]:
        """Write a Split into parts of the given sizes."""
        if self.opset >= 13:
            inputs = (tensor, self.constant(sizes, "sizes"))
            return self.write_many("Split", *inputs, outputs=len(sizes), axis=axis)
        return self.write_many("Split", tensor, outputs=len(sizes), axis=axis, split=list(sizes))

    def slice(self, tensor: str, start: int, stop: int, step: int = 1, axis: int = 1) -> str:
        """Write a Slice along one axis."""
        bounds = {"starts": start, "ends": stop, "axes": axis, "steps": step}
        return self.write(
            "Slice", tensor, *(self.constant([value], name) for name, value in bounds.items())
        )

    def inside(self, tensor: str) -> str:
        """Write what stands between arranging the maps and reducing them: nothing, here.

        A subclass may write an element-wise operator.
        """
        return tensor

    def rename(self, tensor: str, name: str) -> str:
        """Give a tensor another name, as graph outputs have names that people choose."""
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [name if old == tensor else old for old in names]
        return name

    def model(
        self,
        name: str,
        inputs: dict[str, Sequence[Dimension]],
        outputs: dict[str, Sequence[Dimension] | None],
    ) -> onnx.ModelProto:
        """Return the finished model.

        Args:
            name: Name of the graph.
            inputs: Shape of each input.
            outputs: Shape of each output; None leaves it to shape inference.
        """
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(*item) for item in _typed(inputs)],
            [helper.make_tensor_value_info(*item) for item in _typed(outputs)],
            self.initializers,
        )
        opset = helper.make_opsetid("", self.opset)
        return helper.make_model(
            graph,
            opset_imports=[opset],
            ir_version=helper.find_min_ir_version_for([opset]),
            producer_name="condense examples",
        )

    def _store(self, array: npt.NDArray[Any], name: str) -> str:
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def _name(self, kind: str) -> str:
        kind = f"{self.scope}/{kind}" if self.scope else kind
        self._written[kind] += 1
        count = self._written[kind]
        return kind if count == 1 else f"{kind}_{count}"


def _typed(
    shapes: dict[str, Sequence[Dimension]] | dict[str, Sequence[Dimension] | None],
) -> Iterable[tuple[str, int, Sequence[Dimension] | None]]:
    for name, shape in shapes.items():
        yield name, onnx.TensorProto.FLOAT, shape
