import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from kit.numerics import random_feeds, run_onnxruntime
from kit.rewriting import rewrite
from onnx import TensorProto, helper, numpy_helper

import condense_compiler as cc
from condense_compiler.operators.fused_elementwise import ELEMENTWISE_OP
from condense_compiler.passes.fuse_elementwise import FuseElementwise

SHAPE = (1, 5, 7, 9)
TYPES = {np.float32: 1e-6, np.float64: 1e-12, np.float16: 2e-3}


class Writer:
    """Writes operators on a map `c`; constants are single numbers of the map's type."""

    def __init__(self, dtype: npt.DTypeLike, opset: int) -> None:
        self.dtype = np.dtype(dtype)
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: object, dtype: npt.DTypeLike | None = None) -> str:
        """Return the name of a new constant."""
        name = f"k{len(self.constants)}"
        values = np.asarray(value, self.dtype if dtype is None else dtype)
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def write(self, op: str, *inputs: str | float, **attributes: float) -> str:
        """Add an operator and return its result."""
        names = [self.constant(i) if isinstance(i, float) else i for i in inputs]
        self.nodes.append(helper.make_node(op, names, [f"t{len(self.nodes)}"], **attributes))
        return f"t{len(self.nodes) - 1}"

    def clip(self, x: str, low: float, high: float) -> str:
        """Add a Clip as the opset has it."""
        if self.opset < 11:
            return self.write("Clip", x, min=low, max=high)
        return self.write("Clip", x, low, high)


Spelling = Callable[[Writer, str], str]


def silu(w: Writer, x: str) -> str:
    return w.write("Mul", x, w.write("Sigmoid", x))


def silu_turned(w: Writer, x: str) -> str:
    return w.write("Mul", w.write("Sigmoid", x), x)


def silu_divided(w: Writer, x: str) -> str:
    return w.write("Div", x, w.write("Add", w.write("Exp", w.write("Neg", x)), 1.0))


def quick_gelu(w: Writer, x: str) -> str:
    return w.write("Mul", x, w.write("Sigmoid", w.write("Mul", x, 1.702)))


def gelu_exporter(w: Writer, x: str) -> str:
    gate = w.write("Add", w.write("Erf", w.write("Div", x, math.sqrt(2.0))), 1.0)
    return w.write("Mul", w.write("Mul", x, gate), 0.5)


def gelu_half_first(w: Writer, x: str) -> str:
    gate = w.write("Add", 1.0, w.write("Erf", w.write("Mul", x, math.sqrt(0.5))))
    return w.write("Mul", w.write("Mul", x, 0.5), gate)


def gelu_half_gate(w: Writer, x: str) -> str:
    gate = w.write("Add", w.write("Erf", w.write("Div", x, math.sqrt(2.0))), 1.0)
    return w.write("Mul", x, w.write("Mul", 0.5, gate))


def _bent(w: Writer, x: str, cube: str) -> str:
    inner = w.write("Mul", w.write("Add", x, w.write("Mul", cube, 0.044715)), 0.7978845608)
    return w.write("Mul", w.write("Mul", x, 0.5), w.write("Add", w.write("Tanh", inner), 1.0))


def gelu_tanh_power(w: Writer, x: str) -> str:
    return _bent(w, x, w.write("Pow", x, 3.0))


def gelu_tanh_products(w: Writer, x: str) -> str:
    return _bent(w, x, w.write("Mul", w.write("Mul", x, x), x))


def mish(w: Writer, x: str) -> str:
    return w.write("Mul", x, w.write("Tanh", w.write("Softplus", x)))


def mish_logarithm(w: Writer, x: str) -> str:
    soft = w.write("Log", w.write("Add", w.write("Exp", x), 1.0))
    return w.write("Mul", x, w.write("Tanh", soft))


def hard_swish_sigmoid(w: Writer, x: str) -> str:
    return w.write("Mul", x, w.write("HardSigmoid", x, alpha=1 / 6, beta=0.5))


def hard_swish_clip(w: Writer, x: str) -> str:
    return w.write("Div", w.write("Mul", x, w.clip(w.write("Add", x, 3.0), 0.0, 6.0)), 6.0)


def hard_swish_gate(w: Writer, x: str) -> str:
    return w.write("Mul", x, w.write("Div", w.clip(w.write("Add", x, 3.0), 0.0, 6.0), 6.0))


def hard_swish_factor(w: Writer, x: str) -> str:
    gate = w.clip(w.write("Add", 3.0, x), 0.0, 6.0)
    return w.write("Mul", w.write("Mul", x, gate), 1 / 6)


def hard_swish_minmax(w: Writer, x: str) -> str:
    gate = w.write("Max", w.write("Min", w.write("Add", x, 3.0), 6.0), 0.0)
    return w.write("Mul", x, w.write("Mul", gate, 1 / 6))


def softsign(w: Writer, x: str) -> str:
    return w.write("Div", x, w.write("Add", w.write("Abs", x), 1.0))


def split_relu(w: Writer, x: str) -> str:
    negative = w.write("Mul", w.write("Relu", w.write("Neg", x)), 0.2)
    return w.write("Sub", w.write("Relu", x), negative)


def per_channel(w: Writer, x: str) -> str:
    slopes = w.constant(np.linspace(0.5, 2, SHAPE[1]).reshape(-1, 1, 1))
    return w.write("Mul", x, w.write("Sigmoid", w.write("Mul", x, slopes)))


SPELLINGS: Sequence[Spelling] = (
    *(silu, silu_turned, silu_divided, quick_gelu, mish, mish_logarithm, softsign, split_relu),
    *(gelu_exporter, gelu_half_first, gelu_half_gate, gelu_tanh_power, gelu_tanh_products),
    *(hard_swish_sigmoid, hard_swish_clip, hard_swish_gate, hard_swish_factor, hard_swish_minmax),
    per_channel,
)


def network(
    spelling: Spelling, dtype: npt.DTypeLike = np.float32, opset: int = 18, batch: int = 1
) -> onnx.ModelProto:
    """Return x → Neg → the activation → y, as large at every place."""
    w = Writer(dtype, opset)
    result = spelling(w, w.write("Neg", "x"))
    w.nodes[-1].output[0] = "y" if w.nodes[-1].output[0] == result else result
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    shape = (batch, *SHAPE[1:])
    values = [helper.make_tensor_value_info(name, kind, shape) for name in ("x", "y")]
    graph = helper.make_graph(w.nodes, "net", values[:1], values[1:], w.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("opset", [9, 12, 13, 18, 22])
def test_every_spelling_needs_one_map(spelling: Spelling, opset: int) -> None:
    model = network(spelling, opset=opset)
    compilation = cc.compile(model, target_options={"poison": "true"})
    assert compilation.report.after.arena_bytes == math.prod(SHAPE) * 4
    assert compilation.report.after.order_optimal
    assert compilation.report.verification is not None
    assert compilation.report.verification.passed


# ONNX Runtime has no Erf of float64.
WITHOUT_JUDGE = [(gelu, np.float64) for gelu in (gelu_exporter, gelu_half_first, gelu_half_gate)]


@pytest.mark.parametrize(
    ("spelling", "dtype"),
    [case for case in itertools.product(SPELLINGS, TYPES) if case not in WITHOUT_JUDGE],
)
def test_the_body_computes_the_same_bits(spelling: Spelling, dtype: type[np.floating]) -> None:
    model = network(spelling, dtype)
    result = rewrite(model, [FuseElementwise()])
    assert result.operators.count(ELEMENTWISE_OP) == 1
    feeds = {"x": (random_feeds(model)["x"] * 4).astype(dtype)}
    [found], [expected] = result.outputs(feeds).values(), run_onnxruntime(model, feeds).values()
    np.testing.assert_array_equal(found, expected)
    own = cc.compile(model, verify_outputs=False).run(feeds)["y"]
    largest = float(np.abs(expected).max())
    np.testing.assert_allclose(own, expected, rtol=0, atol=TYPES[dtype] * largest)


def test_a_batch_of_several_images() -> None:
    model = network(per_channel, batch=3)
    rewrite(model).check_outputs()


def _chain(w: Writer, x: str) -> str:
    return w.write("Tanh", w.write("Sigmoid", x))


def _square(w: Writer, x: str) -> str:
    return w.write("Mul", x, x)


@pytest.mark.parametrize("spelling", [_chain, _square])
def test_chains_stay_as_they_are(spelling: Spelling) -> None:
    assert ELEMENTWISE_OP not in rewrite(network(spelling)).operators


def test_what_is_read_elsewhere_stays() -> None:
    model = network(silu)
    kind = TensorProto.FLOAT
    model.graph.output.append(helper.make_tensor_value_info("t1", kind, SHAPE))  # the sigmoid
    result = rewrite(model)
    assert ELEMENTWISE_OP not in result.operators
    result.check_outputs()


def test_two_maps_do_not_become_one() -> None:
    w = Writer(np.float32, 18)
    w.write("Mul", w.write("Sigmoid", "a"), "b")
    w.nodes[-1].output[0] = "y"
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, SHAPE) for n in "aby"]
    graph = helper.make_graph(w.nodes, "net", values[:2], values[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    assert ELEMENTWISE_OP not in rewrite(model).operators


def test_a_compiled_network_is_compiled_again() -> None:
    compiled = cc.compile(network(gelu_exporter), verify_outputs=False).program.network.to_model()
    again = cc.compile(compiled)
    assert again.report.after.arena_bytes == math.prod(SHAPE) * 4
    assert again.report.verification is not None
    assert again.report.verification.passed
