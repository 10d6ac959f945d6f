"""Folds padding into the windows of the operators behind it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from condense_compiler.network import Network
from condense_compiler.network.editing import bypass, is_output, sole_reader
from condense_compiler.operators.attributes import constant_input
from condense_compiler.operators.convolution import Convolution
from condense_compiler.operators.definition import ROW_AXIS
from condense_compiler.operators.moving import Pad
from condense_compiler.operators.pooling import Pool
from condense_compiler.operators.registry import definition_of, parse, parse_as
from condense_compiler.operators.window import Window
from condense_compiler.rewriting.contract import PassOutcome, Rewrite

# Zero in front of these is the code of zero behind them, or the other way round.
_QUANTISING = ("DequantizeLinear", "QuantizeLinear")


@dataclass(frozen=True, slots=True)
class _Padding:
    """What a Pad puts around its input.

    Attributes:
        pixels: Size of the input along each spatial axis.
        pads: At the start of each spatial axis, then at the end of each.
        value: What is put there.
        not_negative: The input has no negative values.
    """

    pixels: tuple[int, ...]
    pads: tuple[int, ...]
    value: float
    not_negative: bool


@dataclass(frozen=True)
class FoldPads:
    """Let windows reach over the edge of a feature map, instead of storing it padded.

    Convolutions pad with zeros, as do averages that count their padding; in maxima, padding counts
    for nothing, as zeros do among values that are not negative.
    """

    name: ClassVar[str] = "fold_pads"

    def apply(self, network: Network) -> PassOutcome:
        """Fold every Pad of which all readers can take over the padding."""
        rewrites: list[Rewrite] = []
        for node in list(network.graph.nodes):
            padding = _padding_of(node) if node.op == "Pad" and not node.domain else None
            if padding is None or is_output(network.graph, node.outputs[0]):
                continue
            padded = node.outputs[0]
            behind = [_behind(network.graph, padded, r, padding) for r in padded.outputs]
            windows = [_padded(each.reader, each.maps[-1], each.padding) for each in behind]
            if not windows or any(window is None for window in windows):
                continue
            for each, window in zip(behind, windows, strict=True):
                _set_window(each.reader, window)
                for tensor in each.maps[1:]:
                    tensor.shape = node.inputs[0].shape
            readers = ", ".join(sorted({each.reader.op for each in behind}))
            rewrites.append(Rewrite(node.name, f"Pad → {readers}"))
            bypass(network.graph, node, node.inputs[0])
        return PassOutcome(tuple(rewrites))


def _padding_of(node: gs.Node) -> _Padding | None:
    """Return the padding of a Pad; None unless it pads spatial axes alone, by a constant."""
    pad = parse_as(Pad, node)
    if pad.mode != "constant" or pad.pads is None or pad.value is None:
        return None
    others, pixels = pad.pads[:ROW_AXIS], pad.pads[ROW_AXIS:]
    if not pixels or any(map(any, others)) or min(map(min, pixels)) < 0:
        return None
    makers = node.inputs[0].inputs
    return _Padding(
        pad.data[ROW_AXIS:],
        (*(before for before, _ in pixels), *(behind for _, behind in pixels)),
        pad.value,
        not_negative=bool(makers) and definition_of(makers[0]).not_negative,
    )


@dataclass(frozen=True, slots=True)
class _Behind:
    """What reads a padded map, behind its quantisation.

    Attributes:
        reader: The operator.
        maps: The padded maps up to there.
        padding: What they are padded with there.
    """

    reader: gs.Node
    maps: tuple[gs.Tensor, ...]
    padding: _Padding


def _behind(graph: gs.Graph, padded: gs.Tensor, reader: gs.Node, padding: _Padding) -> _Behind:
    maps = [padded]
    while reader.op in _QUANTISING and reader.inputs[0] is maps[-1]:
        following = sole_reader(graph, reader.outputs[0])
        zero = constant_input(reader, 2)
        code = 0.0 if zero is None else float(zero.flat[0])
        expected, value = (code, 0.0) if reader.op == "DequantizeLinear" else (0.0, code)
        if following is None or padding.value != expected or (zero is not None and zero.size > 1):
            break
        maps.append(reader.outputs[0])
        reader, padding = following, replace(padding, value=value)
    return _Behind(reader, tuple(maps), padding)


def _padded(reader: gs.Node, data: gs.Tensor, padding: _Padding) -> Window | None:
    """Return the window of an operator on `data` with more padding; None if it cannot have that."""
    rule = _TAKES.get(reader.op) if not reader.domain else None
    is_data = [tensor is data for tensor in reader.inputs]
    if rule is None or not is_data[0] or any(is_data[1:]) or not rule(reader, padding):
        return None
    operator = parse(reader)
    assert isinstance(operator, Convolution | Pool)
    window = operator.window
    if window.follows_size:
        return None
    pads = tuple(one + other for one, other in zip(window.pads, padding.pads, strict=True))
    larger = Window(window.kernel_shape, window.strides, pads, window.dilations)
    rounds_up = window.ceil_mode and larger.output_shape(padding.pixels) != window.output_shape(
        tuple(data.shape[2:])
    )
    return larger if _reaches_inside(window, pads) and not rounds_up else None


def _reaches_inside(window: Window, pads: Sequence[int]) -> bool:
    """Tell whether every window holds a pixel of the map: pooling asks for that."""
    return all(pad < size for pad, size in zip(pads, window.reaches * 2, strict=True))


def _takes_zeros(reader: gs.Node, padding: _Padding) -> bool:
    return padding.value == 0 and len(reader.outputs) == 1


def _averages(reader: gs.Node, padding: _Padding) -> bool:
    pool = parse_as(Pool, reader)
    return padding.value == 0 and (pool.counts_padding or not any(pool.window.pads))


def _takes_no_part(reader: gs.Node, padding: _Padding) -> bool:
    is_least = padding.value <= float(np.finfo(np.float32).min)
    return len(reader.outputs) == 1 and (is_least or (padding.value == 0 and padding.not_negative))


_TAKES: Mapping[str, Callable[[gs.Node, _Padding], bool]] = {
    "AveragePool": _averages,
    "Conv": _takes_zeros,
    "MaxPool": _takes_no_part,
}


def _set_window(reader: gs.Node, window: Window | None) -> None:
    assert window is not None
    for name in ("auto_pad", "ceil_mode"):
        reader.attrs.pop(name, None)
    reader.attrs["pads"] = list(window.pads)
    if reader.op == "AveragePool":
        reader.attrs["count_include_pad"] = 1
