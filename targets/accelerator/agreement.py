"""How the integer network compares with ONNX Runtime on the quantised model."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from condense_compiler.targets.accelerator.integer.executor import (
    Codes,
    encode,
    execute,
    read,
    run_operator,
    write,
)
from condense_compiler.targets.accelerator.integer.forms import Forms
from condense_compiler.targets.accelerator.integer.network import (
    Convolution,
    IntegerNetwork,
    Operator,
)
from condense_compiler.targets.accelerator.quantisation.forms import forms_of
from condense_compiler.targets.accelerator.quantisation.session import (
    optimised_graph,
    run_with_defaults,
)
from condense_compiler.targets.accelerator.quantisation.unfolding import values_of_codes

Array = npt.NDArray[Any]
Feeds = Mapping[str, Array]

# Operators that ONNX Runtime computes in floating point, where the order of additions counts.
_IN_FLOATING_POINT = frozenset(
    [
        "Add",
        "AveragePool",
        "Conv",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "Gemm",
        "GlobalAveragePool",
        "MatMul",
        "QLinearAveragePool",
        "ReduceMean",
        "ReduceSum",
        "Sub",
        "Sum",
    ]
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Codes that were compared.

    Attributes:
        elements: How many.
        differing: Those that are not the same.
        largest_steps: Largest difference.
    """

    elements: int
    differing: int
    largest_steps: int

    @property
    def differing_share(self) -> float:
        """Share of the codes that are not the same."""
        return self.differing / max(1, self.elements)


def compare_outputs(network: IntegerNetwork, quantised: onnx.ModelProto, feeds: Feeds) -> Agreement:
    """Compare the outputs of the whole network."""
    names = list(network.outputs)
    if not names:
        return Agreement(0, 0, 0)
    expected = run_with_defaults(quantised, names, feeds)
    found = execute(network, feeds)
    return _agreement(
        np.rint((found[name].astype(np.float64) - values) / network.outputs[name].map.scale)
        for name, values in zip(names, expected, strict=True)
    )


def compare_operators(
    network: IntegerNetwork, quantised: onnx.ModelProto, forms: Forms, feeds: Feeds
) -> Agreement:
    """Compare the codes of every map that the quantised model has too.

    Each operator is computed from ONNX Runtime's own inputs, so that no difference goes further.
    To tell its inputs, ONNX Runtime must keep them, and so it computes some operators in another
    form than it would; these are left out. Behind a table, steps are counted that may lie in front.

    Args:
        network: The network in integers.
        quantised: The quantised model.
        forms: How ONNX Runtime computes its operators.
        feeds: Graph inputs.
    """
    telling = _telling_codes(network, quantised)
    in_other_forms = {name for name, _ in forms.items() ^ forms_of(telling).items()}
    known = _codes(telling, quantised, feeds)
    for name, port in network.inputs.items():
        known[port.map.name] = encode(feeds[name], port)
    differences = []
    for operator in network.operators:
        if operator.name in in_other_forms:
            continue
        expected = known.get(operator.output.name)
        if expected is None or any(source.name not in known for source in operator.inputs):
            continue
        codes: Codes = {}
        for source in operator.inputs:
            write(codes, source, known[source.name].reshape(source.shape))
        write(codes, operator.output, run_operator(operator, codes))
        computed = read(codes, operator.output).astype(np.int16)
        difference = np.abs(computed - expected.reshape(computed.shape))
        differences.append(np.ceil(difference / _steepness(operator)))
    return _agreement(differences)


def operators_in_floating_point(quantised: onnx.ModelProto) -> list[str]:
    """Return the operators that ONNX Runtime, having optimised the model, adds up in float32."""
    nodes = optimised_graph(quantised).node
    return sorted({node.op_type for node in nodes} & _IN_FLOATING_POINT)


def _agreement(differences: Iterable[Array]) -> Agreement:
    magnitudes = [np.abs(difference) for difference in differences]
    return Agreement(
        elements=sum(each.size for each in magnitudes),
        differing=sum(int(np.count_nonzero(each)) for each in magnitudes),
        largest_steps=max((int(each.max(initial=0)) for each in magnitudes), default=0),
    )


def _steepness(operator: Operator) -> int:
    """Return the most steps that the operator's tables make of one."""
    inner = operator.inner_table if isinstance(operator, Convolution) else None
    tables = [table.array().astype(np.int16) for table in (inner, operator.table) if table]
    return math.prod(max(1, int(np.abs(np.diff(table)).max())) for table in tables)


def _telling_codes(network: IntegerNetwork, quantised: onnx.ModelProto) -> onnx.ModelProto:
    """Return a quantised model with the codes of all maps among its outputs."""
    model = onnx.ModelProto()
    model.CopyFrom(quantised)
    maps = {source.name for source in network.maps()}
    values = values_of_codes(quantised)
    made = [name for node in model.graph.node for name in node.output]
    outputs = {value.name for value in model.graph.output}
    for name in made:
        if _is_codes(name, values) and values[name] in maps and name not in outputs:
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return model


def _codes(telling: onnx.ModelProto, quantised: onnx.ModelProto, feeds: Feeds) -> dict[str, Array]:
    """Return the codes that ONNX Runtime computes, by the name of their map."""
    values = values_of_codes(quantised)
    names = [value.name for value in telling.graph.output if _is_codes(value.name, values)]
    found = zip(names, run_with_defaults(telling, names, feeds), strict=True)
    return {values[name]: _signed(codes) for name, codes in found if codes.dtype != np.float32}


def _is_codes(name: str, values: Mapping[str, str]) -> bool:
    return values.get(name, name) != name


def _signed(codes: Array) -> Array:
    """Return codes without sign as ones with sign."""
    shift = 128 if codes.dtype == np.uint8 else 0
    return (codes.astype(np.int16) - shift).astype(np.int8)
