"""Pools as ONNX Runtime reads them, where ONNX's shape inference reads them otherwise.

With `ceil_mode`, no window may start in the padding behind the map. ONNX says so from version 22
on (operators MaxPool and AveragePool); its shape inference for earlier ones counts such windows.

Where a pool has both, `auto_pad` counts and `pads` do not. A single window may hang over the end of
the map by less than a stride.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError
from condense_compiler.network.tensors import is_static
from condense_compiler.operators.attributes import Spelling
from condense_compiler.operators.window import Window, window_of

_POOLS = ("AveragePool", "LpPool", "MaxPool")
_SAME = ("SAME_UPPER", "SAME_LOWER")
_CLIPS_SINCE = 19  # from this opset on, averages count no more than the padded map


@dataclass(frozen=True, slots=True)
class _Axis:
    """How windows walk along an axis, the last one rounded up."""

    window: Window
    number: int
    size: int

    @property
    def begin(self) -> int:
        """Padding before the map."""
        return self.window.begins[self.number]

    @property
    def end(self) -> int:
        """Padding behind the map."""
        return self.window.ends[self.number]

    @property
    def counted(self) -> int:
        """Windows, those that start in the padding behind included."""
        return self.window.rounded_positions(self.number, self.size)

    @property
    def count(self) -> int:
        """Windows that start on the map or in the padding before it."""
        return self.window.positions(self.number, self.size)

    @property
    def overhang(self) -> int:
        """Padding behind the map that the last window needs; negative if it ends on the map."""
        return self.window.span(self.number, self.count) - self.size - self.begin

    @property
    def short(self) -> int:
        """Pixels that a single window needs beyond the padded map."""
        return self.window.reach(self.number) - self.size - self.begin - self.end


def leave_out_empty_windows(node: gs.Node) -> bool:
    """Write a pool whose shape was inferred with too many windows with less padding.

    Returns:
        Whether it was one; then its shape is to be inferred again.
    """
    return _rounds_up(node) and _leave_out(node)


def _rounds_up(node: gs.Node) -> bool:
    is_pool = node.op in _POOLS and not node.domain and bool(node.attrs.get("ceil_mode", 0))
    known = is_pool and node.inputs[0].shape is not None and is_static(node.inputs[0].shape)
    return known and Spelling(node).text("auto_pad", "NOTSET") == "NOTSET"


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
    given, sizes = Spelling(node), node.inputs[0].shape[2:]
    window = replace(window_of(given, given.integers("kernel_shape") or (), sizes), ceil_mode=True)
    return [_Axis(window, number, int(size)) for number, size in enumerate(sizes)]


def prepare_pool(node: gs.Node, opset: int) -> None:
    """Write a pool, in place, so that ONNX's shape inference and ONNX Runtime agree on it.

    Raises:
        InputError: ONNX Runtime computes windows that lie beside the map.
    """
    if node.op not in _POOLS or node.domain or not _knows_windows(node):
        return
    mode = Spelling(node).text("auto_pad", "NOTSET")
    if mode != "NOTSET":
        node.attrs.pop("pads", None)
        if mode in _SAME:
            _keep_same(node)
            return
        del node.attrs["auto_pad"]
    _cover_overhang(node, opset)


def _knows_windows(node: gs.Node) -> bool:
    """Tell whether shape and attributes are there and have the lengths that they need."""
    shape, kernel = node.inputs[0].shape, node.attrs.get("kernel_shape")
    if shape is None or not is_static(shape) or not kernel or len(kernel) != len(shape) - 2:
        return False
    lengths = {"strides": 1, "dilations": 1, "pads": 2}
    given = ((node.attrs.get(name), times) for name, times in lengths.items())
    return min(kernel) > 0 and all(
        values is None or (len(values) == times * len(kernel) and min(values) >= 2 - times)
        for values, times in given
    )


def _keep_same(node: gs.Node) -> None:
    """Drop `ceil_mode` beside `auto_pad`, and write as pads what asks for negative ones."""
    rest = [-axis.window.missing(axis.number, axis.size) for axis in _axes(node)]
    if max(rest) > 1:
        raise InputError(
            f"node '{node.name}' ({node.op}): auto_pad with strides beyond the window asks for "
            "negative padding; write the padding as pads"
        )
    node.attrs.pop("ceil_mode", None)
    if max(rest) < 1:
        return
    upper = Spelling(node).text("auto_pad", "") == "SAME_UPPER"
    del node.attrs["auto_pad"]
    total = [max(0, -pixels) for pixels in rest]
    small, large = [pad // 2 for pad in total], [pad - pad // 2 for pad in total]
    node.attrs["pads"] = [*small, *large] if upper else [*large, *small]


def _cover_overhang(node: gs.Node, opset: int) -> None:
    """Pad a map that a single window hangs over by less than a stride."""
    axes = _axes(node)
    hangs_over = [0 < axis.short < axis.window.strides[axis.number] for axis in axes]
    if not any(hangs_over):
        return
    ends = [a.end + a.short * hangs for a, hangs in zip(axes, hangs_over, strict=True)]
    if opset >= _CLIPS_SINCE and node.attrs.get("count_include_pad", 0):
        if any(axis.begin or axis.end for axis in axes):
            raise InputError(
                f"node '{node.name}' ({node.op}): its window hangs over the padded map, which "
                "cannot be averaged with count_include_pad; add more padding"
            )
        node.attrs["count_include_pad"] = 0
    node.attrs["pads"] = [*(axis.begin for axis in axes), *ends]
