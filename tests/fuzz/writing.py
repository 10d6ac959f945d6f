"""Lets the kit's writers of layers and stages write into a draft."""

from collections.abc import Callable

import onnx
from kit.layers import LayerWriter
from onnx import numpy_helper

from fuzz.draft import Draft


def written(draft: Draft, write: Callable[[LayerWriter], str]) -> str:
    """Add everything that a function writes, under names of the draft; return its result.

    Raises:
        UnfitError: ONNX Runtime refuses an operator of it.
    """
    writer = LayerWriter(draft.opset, draft.number(0, 2**31), draft.chance(0.3))
    result = write(writer)
    names: dict[str, str] = {}
    for tensor in writer.initializers:
        names[tensor.name] = draft.constant(numpy_helper.to_array(tensor))
    for node in writer.nodes:
        own = onnx.NodeProto()
        own.CopyFrom(node)
        number = len(draft.nodes)
        own.name = f"n{number}"
        own.input[:] = [names.get(name, name) for name in node.input]
        own.output[:] = [f"t{number}_{index}" for index in range(len(node.output))]
        names |= dict(zip(node.output, own.output, strict=True))
        draft.add_node(own)
    return names.get(result, result)
