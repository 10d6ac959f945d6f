import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from kit.numerics import Array, assert_close, random_feeds
from kit.quantising import quantised, run_optimised
from kit.rewriting import rewrite
from onnx import helper, numpy_helper

import condense_compiler as cc
from condense_compiler.operators.epilogue import EPILOGUE_OP
from condense_compiler.passes import DEFAULT_PASSES

CHANNELS, HEIGHT, WIDTH = 6, 7, 9
SHAPE = (1, CHANNELS, HEIGHT, WIDTH)
TYPES = (np.float32, np.float64, np.float16)
NAME = "fuse_epilogues"
WITHOUT = [step for step in DEFAULT_PASSES if step.name != NAME]


class Writer:
    """Writes operators on maps `x` and `z`; constants have the type of the maps."""

    def __init__(
        self, dtype: npt.DTypeLike = np.float32, opset: int = 18, shape: Sequence[int] = SHAPE
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.opset = opset
        self.shape = tuple(shape)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.generator = np.random.default_rng(5)

    def constant(self, value: object, dtype: npt.DTypeLike | None = None) -> str:
        """Return the name of a new constant."""
        name = f"k{len(self.constants)}"
        values = np.asarray(value, self.dtype if dtype is None else dtype)
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def drawn(self, *shape: int) -> str:
        """Return the name of a new constant with random values, more of them for more sums."""
        scale = 1 / math.sqrt(max(math.prod(shape[1:]), 1))
        return self.constant(self.generator.standard_normal(shape) * scale)

    def write(self, op: str, *inputs: str | float, **attributes: object) -> str:
        """Add an operator and return its result."""
        names = [self.constant(i) if isinstance(i, float) else i for i in inputs]
        result = f"t{len(self.nodes)}"
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [result], name, **attributes))
        return result

    def model(self, *results: str) -> onnx.ModelProto:
        """Return the network from `x`, and `z` if it is read, to some results."""
        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        read = {name for node in self.nodes for name in node.input}
        inputs = [
            helper.make_tensor_value_info(name, kind, self.shape) for name in "xz" if name in read
        ]
        outputs = [helper.make_tensor_value_info(name, kind, None) for name in results]
        graph = helper.make_graph(self.nodes, "net", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", self.opset)]
        return onnx.shape_inference.infer_shapes(
            helper.make_model(graph, opset_imports=opsets, ir_version=8)
        )


Part = Callable[[Writer, str], str]


def convolution(w: Writer, x: str) -> str:
    return w.write("Conv", x, w.drawn(8, CHANNELS, 3, 3), w.drawn(8), pads=[1] * 4)


def convolution_without_bias(w: Writer, x: str) -> str:
    return w.write("Conv", x, w.drawn(5, CHANNELS, 1, 1))


def depthwise(w: Writer, x: str) -> str:
    filters = w.drawn(CHANNELS, 1, 3, 3)
    return w.write("Conv", x, filters, w.drawn(CHANNELS), group=CHANNELS, strides=[2, 2])


def transposed(w: Writer, x: str) -> str:
    return w.write("ConvTranspose", x, w.drawn(CHANNELS, 4, 2, 2), strides=[2, 2])


def addition(w: Writer, x: str) -> str:
    return w.write("Add", w.write("Neg", x), "z")


def residual(w: Writer, x: str) -> str:
    there = w.write("Conv", x, w.drawn(CHANNELS, CHANNELS, 3, 3), pads=[1] * 4)
    return w.write("Add", w.write("Neg", "z"), there)


def fully_connected(w: Writer, x: str) -> str:
    flat = w.write("Flatten", x)
    return w.write("Gemm", flat, w.drawn(11, math.prod(SHAPE[1:])), w.drawn(11), transB=1)


def product_and_bias(w: Writer, x: str) -> str:
    flat = w.write("Flatten", x)
    return w.write("Add", w.write("MatMul", flat, w.drawn(math.prod(SHAPE[1:]), 11)), w.drawn(11))


def maximum(w: Writer, x: str) -> str:
    return w.write("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)


def average(w: Writer, x: str) -> str:
    return w.write("AveragePool", x, kernel_shape=[2, 3], pads=[0, 1, 0, 1])


def global_average(w: Writer, x: str) -> str:
    return w.write("GlobalAveragePool", x)


def mean(w: Writer, x: str) -> str:
    if w.opset < 18:
        return w.write("ReduceMean", x, axes=[2, 3])
    return w.write("ReduceMean", x, w.constant([2, 3], np.int64))


PRODUCERS: Sequence[Part] = (
    *(convolution, convolution_without_bias, depthwise, transposed, addition, residual),
    *(fully_connected, product_and_bias, maximum, average, global_average, mean),
)


def relu(w: Writer, x: str) -> str:
    return w.write("Relu", x)


def leaky(w: Writer, x: str) -> str:
    return w.write("LeakyRelu", x, alpha=0.25)


def relu6(w: Writer, x: str) -> str:
    return w.write("Clip", x, 0.0, 6.0)


def silu(w: Writer, x: str) -> str:
    return w.write("Mul", x, w.write("Sigmoid", x))


def hard_swish(w: Writer, x: str) -> str:
    gate = w.write("Clip", w.write("Add", x, 3.0), 0.0, 6.0)
    return w.write("Div", w.write("Mul", x, gate), 6.0)


def mish(w: Writer, x: str) -> str:
    return w.write("Mul", x, w.write("Tanh", w.write("Softplus", x)))


def gelu(w: Writer, x: str) -> str:
    cube = w.write("Mul", w.write("Mul", x, x), x)
    inner = w.write("Mul", w.write("Add", x, w.write("Mul", cube, 0.044715)), 0.7978845608)
    return w.write("Mul", w.write("Mul", x, 0.5), w.write("Add", w.write("Tanh", inner), 1.0))


def scaled_silu(w: Writer, x: str) -> str:
    return silu(w, w.write("Add", w.write("Mul", x, 1.5), 0.25))


PROGRAMS: Sequence[Part] = (relu, leaky, relu6, silu, hard_swish, mish, gelu, scaled_silu)


def network(
    producer: Part,
    program: Part,
    dtype: npt.DTypeLike = np.float32,
    opset: int = 18,
    batch: int = 1,
) -> onnx.ModelProto:
    """Return x → an operator → a program."""
    w = Writer(dtype, opset, (batch, *SHAPE[1:]))
    return w.model(program(w, producer(w, "x")))


def run_reference(model: onnx.ModelProto, *, fused: bool = True) -> Mapping[str, Array]:
    passes = None if fused else WITHOUT
    options = {"poison": "true"}
    compilation = cc.compile(model, passes=passes, verify_outputs=False, target_options=options)
    return compilation.run(random_feeds(model))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("producer", PRODUCERS)
def test_results_are_the_same_bits(producer: Part, program: Part, batch: int) -> None:
    for dtype in TYPES:
        model = network(producer, program, dtype, batch=batch)
        result = rewrite(model)
        assert result.operators.count(EPILOGUE_OP) == 1
        assert result.operators[-1] == EPILOGUE_OP
        [found], [expected] = (
            run_reference(model, fused=fused).values() for fused in (True, False)
        )
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("opset", [11, 12, 13, 17, 18, 20, 22, 23])
@pytest.mark.parametrize("producer", PRODUCERS)
def test_the_function_computes_the_same_bits(producer: Part, opset: int) -> None:
    model = network(producer, scaled_silu, opset=opset)
    result = rewrite(model)
    assert result.operators[-1] == EPILOGUE_OP
    result.check_outputs()
    feeds = random_feeds(model)
    [found], [expected] = (
        each.outputs(feeds).values() for each in (result, rewrite(model, WITHOUT))
    )
    np.testing.assert_array_equal(found, expected)


def test_what_is_between_is_virtual() -> None:
    model = network(convolution, gelu)
    report = cc.compile(model).report
    [layer] = report.fused
    assert layer.pass_name == NAME
    assert layer.node == "n0"
    assert layer.virtual_bytes == 8 * HEIGHT * WIDTH * 4  # the rest was one operator before
    assert report.verification is not None
    assert report.verification.passed


def per_channel(w: Writer, x: str, channels: int) -> str:
    slopes, factors = w.drawn(channels, 1, 1), w.drawn(1, channels, 1, 1)
    return w.write("Mul", w.write("PRelu", x, slopes), factors)


@pytest.mark.parametrize("dtype", TYPES)
def test_operands_for_channels(dtype: type[np.floating]) -> None:
    w = Writer(dtype, shape=(3, *SHAPE[1:]))
    model = w.model(per_channel(w, convolution(w, "x"), 8))
    assert rewrite(model).operators == [EPILOGUE_OP]
    [found], [expected] = (run_reference(model, fused=fused).values() for fused in (True, False))
    np.testing.assert_array_equal(found, expected)


def test_operands_for_pixels() -> None:
    w = Writer(shape=(3, *SHAPE[1:]))
    model = w.model(w.write("Mul", addition(w, "x"), w.drawn(HEIGHT, WIDTH)))
    assert rewrite(model).operators[-1] == EPILOGUE_OP
    [found], [expected] = (run_reference(model, fused=fused).values() for fused in (True, False))
    np.testing.assert_array_equal(found, expected)


def test_a_result_that_another_operator_reads_stays() -> None:
    w = Writer()
    there = convolution(w, "x")
    result = rewrite(w.model(w.write("Concat", there, relu(w, there), axis=1)))
    assert EPILOGUE_OP not in result.operators
    result.check_outputs()


def test_a_result_that_the_network_gives_stays() -> None:
    w = Writer()
    there = convolution(w, "x")
    result = rewrite(w.model(there, relu(w, there)))
    assert EPILOGUE_OP not in result.operators
    result.check_outputs()


def test_a_chain_ends_where_its_result_is_read_twice() -> None:
    w = Writer()
    there = relu(w, convolution(w, "x"))
    result = rewrite(w.model(w.write("Concat", there, w.write("Tanh", there), axis=1)))
    assert result.operators == [EPILOGUE_OP, "Tanh", "Concat"]
    result.check_outputs()


def test_a_gate_is_no_epilogue() -> None:
    w = Writer()
    squeezed = global_average(w, "x")
    gate = w.write("HardSigmoid", w.write("Conv", squeezed, w.drawn(CHANNELS, CHANNELS, 1, 1)))
    result = rewrite(w.model(relu(w, w.write("Mul", "x", gate))))
    assert result.operators == ["GlobalAveragePool", EPILOGUE_OP, "Mul", "Relu"]
    result.check_outputs()


def test_a_map_with_two_axes_more_is_no_epilogue() -> None:
    w = Writer(shape=SHAPE)
    spread = w.write("Add", global_average(w, "x"), w.drawn(CHANNELS, HEIGHT, WIDTH))
    assert EPILOGUE_OP not in rewrite(w.model(spread)).operators


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("before", "behind"), list(itertools.product((None, silu, relu), repeat=2))
)
def test_a_convolution_is_added_in_place(
    before: Part | None, behind: Part | None, batch: int
) -> None:
    w = Writer(shape=(batch, *SHAPE[1:]))
    first = relu(w, w.write("Conv", "x", w.drawn(CHANNELS, CHANNELS, 3, 3), pads=[1] * 4))
    second = w.write("Conv", first, w.drawn(CHANNELS, CHANNELS, 3, 3), pads=[1] * 4)
    second = second if before is None else before(w, second)
    total = w.write("Add", second, "x")
    total = total if behind is None else behind(w, total)
    model = w.model(total)
    compilation = cc.compile(model, target_options={"poison": "true"})
    assert compilation.report.accumulated == 1
    assert compilation.report.after.arena_bytes == 2 * batch * math.prod(SHAPE[1:]) * 4
    found = compilation.run(random_feeds(model))
    assert_close(found, run_reference(model, fused=False), 1e-6)


def test_activated_bottlenecks_need_the_sum_and_what_is_narrow() -> None:
    """Apart, Darknet's x + silu(conv(silu(conv(x)))) needs two wide maps at least."""
    w = Writer()
    value = "x"
    for _ in range(3):
        narrow = silu(w, w.write("Conv", value, w.drawn(CHANNELS // 2, CHANNELS, 1, 1)))
        filters = w.drawn(CHANNELS, CHANNELS // 2, 3, 3)
        value = w.write("Add", value, silu(w, w.write("Conv", narrow, filters, pads=[1] * 4)))
    report = cc.compile(w.model(value), target_options={"poison": "true"}).report
    assert report.accumulated == 3
    assert report.after.arena_bytes == math.prod(SHAPE) * 4 * 3 // 2
    assert report.verification is not None
    assert report.verification.passed


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_types_are_added_in_place(dtype: type[np.floating]) -> None:
    w = Writer(dtype)
    first = relu(w, w.write("Conv", "x", w.drawn(CHANNELS, CHANNELS, 3, 3), pads=[1] * 4))
    second = w.write("Conv", first, w.drawn(CHANNELS, CHANNELS, 1, 1))
    model = w.model(silu(w, w.write("Add", per_channel(w, second, CHANNELS), "x")))
    compilation = cc.compile(model, verify_outputs=False, target_options={"poison": "true"})
    assert compilation.report.accumulated == 1
    found, expected = run_reference(model), run_reference(model, fused=False)
    assert_close(found, expected, 4 * float(np.finfo(dtype).eps))


def test_operands_for_pixels_are_not_added_in_place() -> None:
    w = Writer()
    there = w.write("Conv", "x", w.drawn(CHANNELS, CHANNELS, 1, 1))
    there = w.write("Mul", there, w.drawn(HEIGHT, WIDTH))
    compilation = cc.compile(w.model(w.write("Add", there, w.write("Neg", "x"))))
    assert compilation.report.accumulated == 0
    assert compilation.report.verification is not None
    assert compilation.report.verification.passed


def test_a_convolution_overwrites_what_it_reads() -> None:
    w = Writer()
    value = "x"
    for _ in range(4):
        filters = w.drawn(CHANNELS, CHANNELS, 3, 3)
        value = silu(w, w.write("Conv", value, filters, pads=[1] * 4))
    report = cc.compile(w.model(value), target_options={"poison": "true"}).report
    assert report.after.arena_bytes == math.prod(SHAPE) * 4
    assert report.verification is not None
    assert report.verification.passed


@pytest.mark.parametrize("form", ["qdq", "qlinear"])
@pytest.mark.parametrize("program", [relu, leaky, hard_swish])
def test_networks_in_8_bits_stay_in_8_bits(program: Part, form: str, tmp_path: Path) -> None:
    w = Writer()
    first = program(w, convolution(w, "x"))
    there = w.write("Conv", first, w.drawn(8, 8, 3, 3), pads=[1] * 4)
    model = quantised(w.model(relu(w, w.write("Add", there, first))), tmp_path, form)
    with_it, without = rewrite(model), rewrite(model, WITHOUT)
    assert EPILOGUE_OP not in with_it.operators or form == "qlinear" or program is hard_swish
    feeds = random_feeds(model)
    for found, expected in zip(
        run_optimised(with_it.model, feeds), run_optimised(without.model, feeds), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_a_compiled_network_is_compiled_again() -> None:
    w = Writer(shape=(3, *SHAPE[1:]))
    model = w.model(mish(w, residual(w, silu(w, addition(w, "x")))))
    first = cc.compile(model, verify_outputs=False)
    again = cc.compile(first.program.network.to_model())
    assert again.report.after.arena_bytes == first.report.after.arena_bytes
    assert again.report.verification is not None
    assert again.report.verification.passed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("op", value) for value in ("LSTM", "Softmax", ["Conv"], 1)],
        *[("program", value) for value in ("", "Relu y", "Relu x x", "Add x $0", 1, ["Relu x"])],
        *[("pads", value) for value in ([], helper.make_tensor("t", 1, [1], [0.0]), 1.0)],
    ],
)
def test_what_is_not_as_it_was_written_is_refused(name: str, value: object) -> None:
    model = rewrite(network(convolution, relu)).model
    [call] = [node for node in model.graph.node if node.op_type == EPILOGUE_OP]
    kept = [attribute for attribute in call.attribute if attribute.name != name]
    del call.attribute[:]
    call.attribute.extend(kept)
    kind = onnx.AttributeProto.INTS if value == [] else None
    call.attribute.append(helper.make_attribute(name, value, attr_type=kind))
    with pytest.raises(cc.InputError, match=r"condense|do not fit"):
        cc.compile(model)
