"""How the integer network compares with ONNX Runtime on the quantised model."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from condense_compiler.passes.tracing.codes import CODE_TYPES
from condense_compiler.targets.accelerator.integer.executor import (
    Codes,
    encode,
    execute,
    read,
    run_operator,
    write,
)
from condense_compiler.targets.accelerator.integer.network import (
    Convolution,
    IntegerNetwork,
    Operator,
)
from condense_compiler.targets.accelerator.quantisation.on_codes import on_codes
from condense_compiler.targets.accelerator.quantisation.session import run_as_defined

Array = npt.NDArray[Any]
Feeds = Mapping[str, Array]


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
    expected = run_as_defined(on_codes(quantised), names, feeds)
    found = execute(network, feeds)
    return _agreement(
        np.rint((found[name].astype(np.float64) - values) / network.outputs[name].map.scale)
        for name, values in zip(names, expected, strict=True)
    )


def compare_operators(
    network: IntegerNetwork, quantised: onnx.ModelProto, feeds: Feeds
) -> Agreement:
    """Compare the codes of every map that the quantised model has too.

    Each operator is computed from ONNX Runtime's own inputs, so that no difference goes further.
    Behind a table, steps are counted that may lie in front.

    Args:
        network: The network in integers.
        quantised: The quantised model.
        feeds: Graph inputs.
    """
    known = _codes(network, quantised, feeds)
    for name, port in network.inputs.items():
        known.setdefault(port.map.name, encode(feeds[name], port))
    differences = []
    for operator in network.operators:
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


def _codes(network: IntegerNetwork, quantised: onnx.ModelProto, feeds: Feeds) -> dict[str, Array]:
    """Return the codes that ONNX Runtime computes, by the name of their map."""
    model = on_codes(quantised)
    maps = {source.name for source in network.maps()}
    outputs = {value.name for value in model.graph.output}
    names = [name for node in model.graph.node for name in node.output if name in maps]
    new = (onnx.helper.make_empty_tensor_value_info(n) for n in names if n not in outputs)
    model.graph.output.extend(new)
    found = zip(names, run_as_defined(model, names, feeds), strict=True)
    return {name: _signed(codes) for name, codes in found if codes.dtype in CODE_TYPES}


def _signed(codes: Array) -> Array:
    """Return codes without sign as ones with sign."""
    shift = 128 if codes.dtype == np.uint8 else 0
    return (codes.astype(np.int16) - shift).astype(np.int8)
