"""One operator in the reference target, with its result on an input and away from it."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_graphsurgeon as gs
import pytest
from onnx import helper, numpy_helper

from condense_compiler.network import Network, tensor_bytes
from condense_compiler.operators.fused import DOMAIN, OP, ConvPool
from condense_compiler.program import ScheduledProgram, Step
from condense_compiler.targets.reference import ReferenceExecutable, ReferenceTarget, tiling

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

OPSET = 18


def single(
    node: onnx.NodeProto, feeds: Arrays, constants: Arrays | None = None, opset: int = OPSET
) -> gs.Graph:
    """Return a graph of one ONNX operator, its shapes inferred."""
    graph = helper.make_graph(
        [node],
        "single",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for n, v in feeds.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in node.output],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        return gs.import_onnx(inferred)


def fused(
    recipe: ConvPool, x: tuple[int, ...], weights: Array, dtype: type[np.generic] = np.float32
) -> gs.Graph:
    """Return a graph of one `condense::ConvPool` from `x` to `y`."""
    pixels = recipe.convolution.output_shape(x[2:])
    pixels = recipe.spatial.output_shape(pixels) if recipe.spatial else pixels
    source = gs.Variable("x", dtype, list(x))
    result = gs.Variable("y", dtype, [x[0], len(weights) // recipe.window, *pixels])
    inputs = [source, gs.Constant("w", weights.astype(dtype))]
    node = gs.Node(OP, "fused", recipe.to_attributes(), inputs, [result], domain=DOMAIN)
    imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    return gs.Graph([node], [source], [result], opset=OPSET, import_domains=imports)


def lower_single(graph: gs.Graph, over: str | None) -> ReferenceExecutable:
    """Prepare a graph of one operator whose result starts where the input `over` starts."""
    node = graph.nodes[0]
    offsets: dict[str, int] = {}
    end = 0
    for tensor in (*node.outputs, *node.inputs):
        if isinstance(tensor, gs.Variable) and tensor.name != over:
            offsets[tensor.name] = end
            end += tensor_bytes(tensor)
            if tensor is node.outputs[0] and over is not None:
                source = graph.tensors()[over]
                offsets[over] = 0
                end = max(end, tensor_bytes(source))
            end = -(-end // 64) * 64
    program = ScheduledProgram(Network(graph, "single"), (Step(node),), offsets, end)
    return ReferenceTarget(poison=True).lower(program)


def both(graph: gs.Graph, feeds: Arrays, over: str = "x") -> tuple[Array, Array]:
    """Return the operator's result away from its input, and in its place."""
    name = graph.outputs[0].name
    apart = lower_single(graph, None).run(feeds)[name]
    return apart, lower_single(graph, over).run(feeds)[name]


@contextmanager
def scratch_limit(limit_bytes: int) -> Iterator[None]:
    """Limit the scratch of convolutions, so that small maps are computed in many stripes too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiling, "SCRATCH_LIMIT_BYTES", limit_bytes)
        patch.setattr(tiling, "_CACHE_BYTES", limit_bytes // 4)
        tiling.choose_tiling.cache_clear()
        yield
    tiling.choose_tiling.cache_clear()
