"""Run an integer network in numpy, operator by operator: the meaning of the binary."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from condense_compiler.targets.accelerator.integer.arithmetic import CODE_MAX, CODE_MIN, look_up
from condense_compiler.targets.accelerator.integer.compute import (
    accumulate,
    pool_channels,
    scale_channels,
    with_zeros,
)
from condense_compiler.targets.accelerator.integer.joined import combine
from condense_compiler.targets.accelerator.integer.network import (
    Binary,
    Convolution,
    IntegerNetwork,
    Lookup,
    Map,
    Operator,
    Port,
    SpatialPooling,
)
from condense_compiler.targets.accelerator.integer.pixels import (
    average_pixels,
    pool_pixels,
    sum_pixels,
)

Array = npt.NDArray[Any]
Codes = dict[Map, Array]


def encode(values: Array, port: Port) -> Array:
    """Return the codes of floating-point values, as QuantizeLinear of ONNX has it."""
    steps = np.rint(np.asarray(values, np.float32) / np.float32(port.map.scale)) + port.map.zero
    return np.asarray(np.clip(steps, CODE_MIN, CODE_MAX), np.int8).reshape(port.map.shape)


def decode(codes: Array, port: Port) -> Array:
    """Return the values of codes, as DequantizeLinear of ONNX has it."""
    steps = codes.astype(np.float32) - np.float32(port.map.zero)
    return (steps * np.float32(port.map.scale)).reshape(port.shape)


def execute(network: IntegerNetwork, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Compute the graph outputs, by name, from the graph inputs, by name."""
    codes = execute_codes(network, {n: encode(feeds[n], p) for n, p in network.inputs.items()})
    return {name: decode(read(codes, p.map), p) for name, p in network.outputs.items()}


def execute_codes(network: IntegerNetwork, inputs: Mapping[str, Array]) -> Codes:
    """Compute the codes of every map that owns memory."""
    codes: Codes = {}
    for name, values in inputs.items():
        write(codes, network.inputs[name].map, values)
    for operator in network.operators:
        write(codes, operator.output, run_operator(operator, codes))
    return codes


def run_operator(operator: Operator, codes: Codes) -> Array:
    """Compute one operator from the codes so far."""
    result = _RUNNERS[type(operator)](operator, [read(codes, m) for m in operator.inputs])
    if operator.table is not None:
        result = look_up(result, operator.table.array())
    if isinstance(operator, Convolution) and operator.spatial is not None:
        result = pool_pixels(result, operator.spatial)
    return result


def read(codes: Codes, source: Map) -> Array:
    """Return the codes of a map."""
    root, channel = source.root()
    if source.shape[1] != root.shape[1]:  # the rows of all channels, one behind the other
        return codes[root].transpose(1, 0, 2).reshape(source.shape)
    if source.shape[2] != root.shape[2]:  # one row, cut into channels in another way
        return codes[root].reshape(source.shape)
    return codes[root][channel : channel + source.shape[0]].reshape(source.shape)


def write(codes: Codes, destination: Map, values: Array) -> None:
    """Store the codes of a map."""
    root, channel = destination.root()
    if root not in codes:
        codes[root] = np.zeros(root.shape, np.int8)
    if destination.shape[1] != root.shape[1]:
        by_row = values.reshape(root.shape[1], root.shape[0], root.shape[2])
        values = by_row.transpose(1, 0, 2)
        channel = 0
    elif destination.shape[2] != root.shape[2]:
        values, channel = values.reshape(root.shape), 0
    codes[root][channel : channel + len(values)] = values


def _convolve(operator: Convolution, inputs: list[Array]) -> Array:
    assert operator.scaling is not None
    zero = operator.inputs[0].zero
    filters = with_zeros(operator.weights, operator.weight_zeros)
    sums = accumulate(inputs[0], zero, filters, operator.window, operator.group)
    result = scale_channels(sums, operator.bias, operator.scaling)
    if operator.inner_table is not None:
        result = look_up(result, operator.inner_table.array())
    return result if operator.pooling is None else pool_channels(result, operator.pooling)


def _pool(operator: SpatialPooling, inputs: list[Array]) -> Array:
    codes, zero = inputs[0], operator.inputs[0].zero
    if operator.averaging is not None:
        return average_pixels(codes, zero, operator.window, operator.averaging)
    if operator.scaling is not None:
        return sum_pixels(codes, zero, operator.window, operator.scaling)
    return pool_pixels(codes, operator.window)


def _combine(operator: Binary, inputs: list[Array]) -> Array:
    assert operator.joining is not None
    return combine((inputs[0], inputs[1]), operator.joining)


_RUNNERS: Mapping[type[Operator], Callable[[Any, list[Array]], Array]] = {
    Binary: _combine,
    Convolution: _convolve,
    Lookup: lambda _operator, inputs: inputs[0],
    SpatialPooling: _pool,
}
