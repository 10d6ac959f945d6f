"""Resizing by scales: how many pixels there are, where size times scale is nearly a whole number.

ONNX Runtime multiplies in single precision, as PyTorch does when it exports: ten pixels times 1.3
are 13. The shape inference of ONNX multiplies the rounded scale exactly and finds 12.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

_OPS = ("Resize", "Upsample")
_FIRST_WITH_REGION = 11  # of Resize: from there on the region of interest stands before the scales

Shapes = Mapping[str, Sequence[int]]
Infer = Callable[[onnx.ModelProto], onnx.ModelProto]


def scaled_for_inference(skeleton: onnx.ModelProto, infer: Infer) -> onnx.ModelProto:
    """Return a model of which inference finds the shapes that ONNX Runtime computes.

    Scales that inference would round otherwise are a little larger in it: it is good for
    inference alone.

    Args:
        skeleton: The model. It is left as it is.
        infer: Infers shapes as far as it can, where those of what is resized are not noted yet.
    """
    version = next((o.version for o in skeleton.opset_import if not o.domain), 1)
    nodes = [n for n in skeleton.graph.node if n.op_type in _OPS and not n.domain]
    scales = {n.output[0]: _scales(n, skeleton.graph, version) for n in nodes}
    pending = [n.output[0] for n in nodes if any(s != round(s) for s in scales[n.output[0]])]
    model = skeleton
    while pending:
        shapes = dict(_noted(model.graph))
        if not all(_data(model, name) in shapes for name in pending):
            shapes = dict(_noted(infer(model).graph))
        ready = [name for name in pending if _data(model, name) in shapes]
        larger = ((name, _enlarged(_node(model, name), scales[name], shapes)) for name in ready)
        name, values = next((pair for pair in larger if pair[1] is not None), ("", None))
        if not ready:
            break  # inference will say what is missing
        if values is None:
            pending = [name for name in pending if name not in ready]
        else:
            # Shapes of what lies behind it were inferred from a wrong one.
            model = _with_scales(model, name, values, version)
            pending.remove(name)
    return model


def pixels(size: int, scale: float) -> int:
    """Return the pixels that ONNX Runtime makes of some along an axis."""
    return int(np.float32(size) * np.float32(scale))


def _enlarged(node: onnx.NodeProto, scales: Sequence[float], shapes: Shapes) -> list[float] | None:
    """Return the scales with which inference finds the right sizes; None if it does anyway."""
    shape = shapes[node.input[0]]
    axes = _attribute(node, "axes") or range(len(shape))
    if len(axes) != len(scales):
        return None  # damaged; inference says so
    sizes = [shape[axis] for axis in axes]
    larger = [_larger(size, scale) for size, scale in zip(sizes, scales, strict=True)]
    return None if larger == list(scales) else larger


def _larger(size: int, scale: float) -> float:
    if math.floor(size * scale) == pixels(size, scale):
        return scale
    return float(np.nextafter(np.float32(scale), np.float32(np.inf)))


def _scales(node: onnx.NodeProto, graph: onnx.GraphProto, version: int) -> list[float]:
    """Return the scales of a node, if they are constants."""
    given = _attribute(node, "scales")
    if given is not None:
        return [float(value) for value in given]
    position = _position(node, version)
    name = node.input[position] if len(node.input) > position else ""
    found = [tensor for tensor in graph.initializer if name and tensor.name == name]
    values: npt.NDArray[Any] = numpy_helper.to_array(found[0]) if found else np.empty(0)
    return [float(value) for value in values.ravel()]


def _position(node: onnx.NodeProto, version: int) -> int:
    return 2 if node.op_type == "Resize" and version >= _FIRST_WITH_REGION else 1


def _with_scales(
    model: onnx.ModelProto, name: str, scales: Sequence[float], version: int
) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    node = _node(result, name)
    given = [attribute for attribute in node.attribute if attribute.name == "scales"]
    if given:
        given[0].floats[:] = scales
        return result
    own = f"{name}/scales for inference"
    tensor = numpy_helper.from_array(np.asarray(scales, np.float32), own)
    result.graph.initializer.append(tensor)
    node.input[_position(node, version)] = own
    return result


def _node(model: onnx.ModelProto, output: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if output in node.output)


def _data(model: onnx.ModelProto, output: str) -> str:
    return _node(model, output).input[0]


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    found = [attribute for attribute in node.attribute if attribute.name == name]
    return helper.get_attribute_value(found[0]) if found else None


def _noted(graph: onnx.GraphProto) -> Iterator[tuple[str, list[int]]]:
    """Yield the shapes that a graph notes, of those that are integers."""
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim):
            yield value.name, [d.dim_value for d in tensor.shape.dim]
    for constant in graph.initializer:
        yield constant.name, list(constant.dims)
