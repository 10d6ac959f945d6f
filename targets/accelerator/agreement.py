"""How the integer network compares with ONNX Runtime on the quantised model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

from condense_compiler.targets.accelerator.integer.executor import (
    Codes,
    encode,
    execute_codes,
    read,
    run_operator,
    write,
)
from condense_compiler.targets.accelerator.integer.network import IntegerNetwork, Map, Port
from condense_compiler.targets.accelerator.quantisation.unfolding import values_of_codes

Array = npt.NDArray[Any]

_LOG_ERRORS_ONLY = 3


@dataclass(frozen=True, slots=True)
class Agreement:
    """Codes that were compared.

    Attributes:
        operators: Operators whose inputs and output the quantised model has too.
        elements: Codes that they compute, each operator from ONNX Runtime's own inputs.
        equal: Those that are the same.
        largest_steps: Largest difference.
        outputs_equal: Share of the codes of the network's outputs that are the same when the whole
            network runs.
        outputs_largest_steps: Their largest difference.
    """

    operators: int
    elements: int
    equal: int
    largest_steps: int
    outputs_equal: float
    outputs_largest_steps: int

    @property
    def equal_share(self) -> float:
        """Share of the codes that are the same."""
        return self.equal / max(1, self.elements)


def compare(
    network: IntegerNetwork, quantised: onnx.ModelProto, feeds: Mapping[str, Array]
) -> Agreement:
    """Compare operator by operator, and from end to end."""
    expected, outputs = _run(network, quantised, feeds)
    inputs = {name: encode(values, network.inputs[name]) for name, values in feeds.items()}
    known = {network.inputs[name].map: values for name, values in inputs.items()}
    differences = []
    for operator in network.operators:
        sources = {m: known.get(m, expected.get(m.name)) for m in operator.inputs}
        result = expected.get(operator.output.name)
        if result is None or any(values is None for values in sources.values()):
            continue
        codes: Codes = {}
        for source, values in sources.items():
            assert values is not None
            write(codes, source, values.reshape(source.shape))
        computed = run_operator(operator, codes)
        differences.append(np.abs(computed.astype(np.int16) - result.reshape(computed.shape)))
    ends = _ends(network, execute_codes(network, inputs), outputs)
    return Agreement(
        operators=len(differences),
        elements=sum(d.size for d in differences),
        equal=sum(int((d == 0).sum()) for d in differences),
        largest_steps=max((int(d.max()) for d in differences), default=0),
        outputs_equal=float(np.mean(ends == 0)),
        outputs_largest_steps=int(ends.max(initial=0)),
    )


def _ends(network: IntegerNetwork, codes: Codes, outputs: Mapping[str, Array]) -> Array:
    """Return the differences of the network's outputs, in steps."""
    differences = []
    for name, port in network.outputs.items():
        computed = read(codes, port.map).astype(np.int16).reshape(-1) - port.map.zero
        differences.append(np.abs(_steps(outputs[name], port) - computed))
    return np.concatenate(differences)


def _steps(values: Array, port: Port) -> Array:
    return np.rint(values.reshape(-1).astype(np.float64) / port.map.scale)


def _run(
    network: IntegerNetwork, quantised: onnx.ModelProto, feeds: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the codes behind every QuantizeLinear by the name of their map, and the outputs."""
    model = onnx.ModelProto()
    model.CopyFrom(quantised)
    maps = {source.name for source in network.maps()}
    quantised_here = {n.output[0] for n in model.graph.node if n.op_type == "QuantizeLinear"}
    values = values_of_codes(quantised)
    names = {codes: values[codes] for codes in quantised_here if values[codes] in maps}
    for name in names:
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = _LOG_ERRORS_ONLY
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    ends = list(network.outputs)
    results = session.run([*names, *ends], dict(feeds))
    codes = zip(names.values(), map(_signed, results), strict=False)
    return dict(codes), dict(zip(ends, results[len(names) :], strict=True))


def _signed(codes: Array) -> Array:
    """Return codes without sign as ones with sign."""
    shift = 128 if codes.dtype == np.uint8 else 0
    return (codes.astype(np.int16) - shift).astype(np.int8)


__all__ = ["Agreement", "Map", "compare"]
