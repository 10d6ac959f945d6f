"""Pooling that rounds up: the windows that ONNX Runtime, as PyTorch, leaves out.

With `ceil_mode`, no window may start in the padding behind the map. ONNX says so from version 22
on (operators MaxPool and AveragePool); its shape inference for earlier ones counts such windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_graphsurgeon as gs

from condense_compiler.network.tensors import is_static, variables

_POOLS = ("AveragePool", "LpPool", "MaxPool")
_NOT_SET = ("NOTSET", b"NOTSET")


@dataclass(frozen=True, slots=True)
class _Axis:
    """How windows walk along an axis."""

    size: int
    reach: int
    stride: int
    begin: int
    end: int

    @property
    def counted(self) -> int:
        """Windows, those that start in the padding behind included."""
        return -(-(self.size + self.begin + self.end - self.reach) // self.stride) + 1

    @property
    def count(self) -> int:
        """Windows that start on the map or in the padding before it."""
        counted = self.counted
        return counted - ((counted - 1) * self.stride >= self.size + self.begin)

    @property
    def overhang(self) -> int:
        """Padding behind the map that the last window needs; negative if it ends on the map."""
        return (self.count - 1) * self.stride + self.reach - self.size - self.begin


def leave_out_empty_windows(graph: gs.Graph) -> bool:
    """Write pools whose shape was inferred with too many windows with less padding.

    Returns:
        Whether there were any; then all shapes are to be inferred again.
    """
    changed = [_leave_out(node) for node in graph.nodes if _rounds_up(node)]
    if not any(changed):
        return False
    for tensor in variables(graph):
        if tensor.inputs:
            tensor.shape = None
    return True


def _rounds_up(node: gs.Node) -> bool:
    is_pool = node.op in _POOLS and not node.domain and bool(node.attrs.get("ceil_mode", 0))
    known = is_pool and node.inputs[0].shape is not None and is_static(node.inputs[0].shape)
    return known and node.attrs.get("auto_pad", "NOTSET") in _NOT_SET


def _leave_out(node: gs.Node) -> bool:
    axes = _axes(node)
    wrong = [axis for axis in axes if axis.count != axis.counted]
    if not wrong or not _was_miscounted(node, axes):
        return False
    if all(axis.overhang >= 0 for axis in wrong):  # as much padding as the last window needs
        ends = [axis.overhang if axis in wrong else axis.end for axis in axes]
    elif node.attrs.get("count_include_pad", 0) and any(a.overhang > a.end for a in axes):
        return False  # more padding would count for more
    else:
        node.attrs["ceil_mode"] = 0
        ends = [max(0, axis.overhang) for axis in axes]
    node.attrs["pads"] = [*(axis.begin for axis in axes), *ends]
    return True


def _was_miscounted(node: gs.Node, axes: Sequence[_Axis]) -> bool:
    shape = node.outputs[0].shape
    return shape is not None and list(shape[2:]) == [axis.counted for axis in axes]


def _axes(node: gs.Node) -> list[_Axis]:
    sizes, kernel = node.inputs[0].shape[2:], node.attrs["kernel_shape"]
    ones, zeros = [1] * len(kernel), [0] * 2 * len(kernel)
    strides, pads = node.attrs.get("strides", ones), node.attrs.get("pads", zeros)
    dilations = node.attrs.get("dilations", ones)
    return [
        _Axis(
            int(sizes[i]),
            dilations[i] * (kernel[i] - 1) + 1,
            strides[i],
            pads[i],
            pads[len(kernel) + i],
        )
        for i in range(len(kernel))
    ]
