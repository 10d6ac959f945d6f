"""A model while its quantisation is written as arithmetic."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer.forms import Forms
from condense_compiler.targets.accelerator.quantisation.weights import Codes

Array = npt.NDArray[Any]


@dataclass(slots=True)
class Writer:
    """The model so far.

    Attributes:
        constants: Constants by name.
        forms: How ONNX Runtime computes operators.
        nodes: Nodes in their order.
        known: Floating-point name of each tensor whose name stands for codes, or for their values.
        codes: Those of them that stand for codes.
        grids: Scale and zero of values that are quantised, by floating-point name.
        quantised: Name of the values that a tensor becomes when it is quantised in some way.
        coded: Constants that are dequantised, by the name of their values.
    """

    constants: dict[str, onnx.TensorProto]
    forms: Forms
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)
    codes: set[str] = field(default_factory=set)
    grids: dict[str, tuple[float, int]] = field(default_factory=dict)
    quantised: dict[tuple[str, float, int, str], str] = field(default_factory=dict)
    coded: dict[str, Codes] = field(default_factory=dict)

    def value(self, name: str) -> Array:
        """Return the value of a constant.

        Raises:
            UnsupportedError: The network computes it.
        """
        if name not in self.constants:
            raise UnsupportedError(f"{name}: scales and zero points must be constants")
        return numpy_helper.to_array(self.constants[name])

    def constant(self, name: str, value: object) -> str:
        """Add a constant in float32."""
        values = np.asarray(value, np.float32)
        self.constants[name] = numpy_helper.from_array(values, name)
        return name

    def append(self, op: str, inputs: list[str], output: str) -> str:
        """Append a node."""
        self.nodes.append(helper.make_node(op, inputs, [output], name=output))
        return output

    def name_outputs(self, outputs: Iterable[onnx.ValueInfoProto]) -> dict[str, str]:
        """Give the outputs of the graph, where they are known under other names, theirs.

        Returns:
            New names by old ones.

        Raises:
            UnsupportedError: An output holds codes of which nobody knows what they mean.
        """
        types = {output.name: output.type.tensor_type.elem_type for output in outputs}
        known = [name for name in types if name in self.known]
        renamed = {self.known[name]: name for name in known if name not in self.codes}
        for name in known:
            if name in self.codes:
                self._append_codes(name, types[name])
            elif (source := renamed[self.known[name]]) != name:  # two outputs hold the same
                self.append("Identity", [source], name)
        for node in self.nodes:
            node.input[:] = [renamed.get(name, name) for name in node.input]
            node.output[:] = [renamed.get(name, name) for name in node.output]
        return renamed

    def _append_codes(self, name: str, dtype: int) -> None:
        """Append what makes codes of the values that are known for them."""
        values = self.known[name]
        if values not in self.grids:
            raise UnsupportedError(f"output '{name}': codes of which nothing tells the scale")
        scale, zero = self.grids[values]
        code = np.asarray(zero, helper.tensor_dtype_to_np_dtype(dtype))
        operands = [self.constant(f"{name}/scale_of_codes", scale), f"{name}/zero_of_codes"]
        self.constants[operands[1]] = numpy_helper.from_array(code, operands[1])
        self.append("QuantizeLinear", [values, *operands], name)
