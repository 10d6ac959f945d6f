"""Models that hold one `condense::ConvPool`, and strategies that draw them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from condense_compiler.operators.elementwise import parse
from condense_compiler.operators.function_body import function_body
from condense_compiler.operators.fused import DOMAIN, OP, REDUCTIONS, ConvPool
from condense_compiler.operators.window import Window

Array = npt.NDArray[Any]

OPSET = 20  # which the oldest ONNX Runtime knows
OPSETS_OF_OPERATORS = {"Swish": 24}
FUNCTIONS_WITH_OVERLOADS = 10  # IR version

# Chains that keep values where single precision resolves them; `$0` is an operand.
PROGRAMS = (
    "",
    "",
    "Relu x",
    "LeakyRelu x alpha=0.1",
    "LeakyRelu x alpha=1.5",
    "Clip x -0.5 0.75",
    "Clip x 0.0 inf",
    "PRelu x $0",
    "Mul x $0\nAdd %0 0.25",
    "Add x $0\nTanh %0",
    "Sigmoid x\nMul x %0",
    "HardSwish x",
    "Abs x\nAdd %0 0.5\nSqrt %1",
    "Sub 1.0 x\nNeg %0",
    "Gelu x",
    "Elu x alpha=0.7",
    "Mul x $0\nSub %0 $1\nMax %1 x",
)


@dataclass(frozen=True)
class FusedLayer:
    """A recipe and the sizes of its tensors."""

    recipe: ConvPool
    batch: int
    channels: int
    wide: int
    pixels: tuple[int, ...]
    bias: bool = True
    shared_operands: bool = False
    constant_weights: bool = True
    winograd: bool = True
    seed: int = 0

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        return (len(self.recipe.members) or self.wide) // self.recipe.window

    @property
    def opset(self) -> int:
        """The opset that the operators of the programs need."""
        programs = (self.recipe.before, self.recipe.after)
        operators = [step.op for program in programs for step in program.instructions]
        return max([OPSET, *(OPSETS_OF_OPERATORS.get(op, OPSET) for op in operators)])

    def input(self) -> Array:
        """Return a random input."""
        generator = np.random.default_rng(self.seed)
        return generator.standard_normal((self.batch, self.channels, *self.pixels), np.float32)

    def weights(self) -> dict[str, Array]:
        """Return filters, bias and operands, random, by name."""
        generator = np.random.default_rng(self.seed + 1)
        recipe = self.recipe
        shape = (self.wide, self.channels // recipe.group, *recipe.convolution.kernel_shape)
        scale = np.float32((2.0 / np.prod(shape[1:])) ** 0.5)
        values: dict[str, Array] = {"W": generator.standard_normal(shape, np.float32) * scale}
        if self.bias:
            values["B"] = generator.standard_normal(self.wide, np.float32) * np.float32(0.3)
        sides = [(recipe.before, self.wide), (recipe.after, self.outputs)]
        counts = [n for program, n in sides for _ in range(program.operand_count())]
        for index, count in enumerate(counts):
            operand = (1 if self.shared_operands else count, *(1,) * len(self.pixels))
            values[f"operand{index}"] = generator.standard_normal(operand, np.float32)
        return values

    def model(self) -> onnx.ModelProto:
        """Return a model that computes the layer."""
        weights = self.weights()
        convolved = self.recipe.convolution.output_shape(self.pixels)
        wide_shape = (self.batch, self.wide, *convolved)
        function = function_body(self.recipe, wide_shape, np.dtype(np.float32), self.opset)
        attributes = self.recipe.to_attributes()
        if not self.winograd:
            attributes["winograd"] = 0
        operands = [name for name in weights if name.startswith("operand")]
        node = helper.make_node(
            OP,
            ["X", "W", "B" if self.bias else "", *operands],
            ["Y"],
            name="layer",
            domain=DOMAIN,
            overload=function.overload,
            **attributes,
        )
        inputs = {"X": (self.batch, self.channels, *self.pixels)}
        stored = [numpy_helper.from_array(values, name) for name, values in weights.items()]
        if not self.constant_weights:
            inputs |= {name: values.shape for name, values in weights.items()}
            stored = []
        graph = helper.make_graph(
            [node],
            "fused_layer",
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
            [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
            stored,
        )
        return helper.make_model(
            graph,
            functions=[function],
            opset_imports=[helper.make_opsetid("", self.opset), helper.make_opsetid(DOMAIN, 1)],
            ir_version=FUNCTIONS_WITH_OVERLOADS,
        )

    def feeds(self) -> dict[str, Array]:
        """Return what the model is fed."""
        return {"X": self.input()} | ({} if self.constant_weights else self.weights())


@st.composite
def fused_layers(draw: st.DrawFn) -> FusedLayer:
    """Draw a layer of any kind: one to three axes, any window, any reduction and programs."""
    rank = draw(st.sampled_from((2, 2, 2, 1, 3)))
    pixels = tuple(draw(st.integers(1, 9 if rank == 3 else 19)) for _ in range(rank))
    convolution = draw(_convolutions(pixels))
    window = draw(st.sampled_from((2, 2, 4, 1, 3, 5, 17)))
    groups = draw(st.sampled_from((1, 1, 1, 2, 3)))
    outputs = draw(st.integers(1, 3 if window > 4 else 9)) * groups
    members: tuple[int, ...] = ()
    if draw(st.integers(0, 4)) == 0:
        slots = st.integers(0, outputs * window - 1)
        ordered = st.permutations(range(outputs * window))
        count = draw(st.integers(1, outputs)) * window
        some = st.lists(slots, min_size=count, max_size=count)
        members = tuple(draw(st.one_of(ordered, some)))
    return draw(_with_programs(convolution, pixels, window, groups, outputs, members))


@st.composite
def _with_programs(
    draw: st.DrawFn,
    convolution: Window,
    pixels: tuple[int, ...],
    window: int,
    groups: int,
    outputs: int,
    members: tuple[int, ...],
) -> FusedLayer:
    reduction = draw(st.sampled_from(REDUCTIONS))
    weights = tuple(np.linspace(0.7, -0.2, window).tolist()) if reduction == "ordinal" else ()
    before, after = (
        parse(draw(st.sampled_from(PROGRAMS)).splitlines()) for _ in ("before", "after")
    )
    convolved = convolution.output_shape(pixels)
    recipe = ConvPool(
        convolution, groups, reduction, window, members, weights, before, after,
        draw(st.none() | _max_poolings(convolved)),
    )  # fmt: skip
    return FusedLayer(
        recipe,
        batch=draw(st.sampled_from((1, 1, 2))),
        channels=groups * draw(st.sampled_from((1, 2, 3, 5, 17))),
        wide=outputs * window,
        pixels=pixels,
        bias=draw(st.booleans()),
        shared_operands=draw(st.booleans()),
        constant_weights=draw(st.sampled_from((True, True, False))),
        seed=draw(st.integers(0, 999)),
    )


@st.composite
def fast_layers(draw: st.DrawFn) -> FusedLayer:
    """Draw a layer that the fast convolution can compute."""
    pixels = (draw(st.integers(1, 30)), draw(st.integers(1, 40)))
    pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
    convolution = Window((3, 3), (1, 1), pads, (1, 1))
    if min(_free(pixels, convolution)) < 0:
        convolution = replace(convolution, pads=(1, 1, 1, 1))
    window = draw(st.sampled_from((2, 2, 1, 3, 4, 6)))
    outputs = draw(st.sampled_from((1, 16, 20, 33, 48)))
    order = draw(st.booleans())
    wide = outputs * window
    permuted = tuple(np.random.default_rng(wide).permutation(wide).tolist())
    after = parse(draw(st.sampled_from(PROGRAMS)).splitlines())
    convolved = convolution.output_shape(pixels)
    recipe = ConvPool(
        convolution,
        group=1,
        reduction=draw(st.sampled_from(("max", "min", "mean", "sum", "l2"))),
        window=window,
        members=permuted if order else (),
        after=after,
        spatial=draw(st.none() | _max_poolings(convolved)),
    )
    return FusedLayer(
        recipe,
        batch=draw(st.sampled_from((1, 2))),
        channels=draw(st.sampled_from((1, 8, 16, 17, 40))),
        wide=wide,
        pixels=pixels,
        bias=draw(st.booleans()),
        seed=draw(st.integers(0, 999)),
    )


def _free(pixels: tuple[int, ...], window: Window) -> list[int]:
    rank = len(pixels)
    return [
        size + window.pads[axis] + window.pads[axis + rank]
        - window.dilations[axis] * (window.kernel_shape[axis] - 1) - 1
        for axis, size in enumerate(pixels)
    ]  # fmt: skip


@st.composite
def _convolutions(draw: st.DrawFn, pixels: tuple[int, ...]) -> Window:
    rank = len(pixels)
    pads = tuple(draw(st.integers(0, 3)) for _ in range(2 * rank))
    kernel, dilations = [], []
    for axis, size in enumerate(pixels):
        padded = size + pads[axis] + pads[axis + rank]
        taps = draw(st.integers(1, min(7, padded)))
        most = (padded - 1) // (taps - 1) if taps > 1 else 3
        kernel.append(taps)
        dilations.append(draw(st.integers(1, min(3, most))))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    return Window(tuple(kernel), strides, pads, tuple(dilations))


@st.composite
def _max_poolings(draw: st.DrawFn, pixels: tuple[int, ...]) -> Window:
    rank = len(pixels)
    kernel = tuple(draw(st.integers(1, min(size, 3))) for size in pixels)
    padded = draw(st.booleans())
    pads = tuple(draw(st.integers(0, size - 1)) if padded else 0 for size in kernel * 2)
    dilations = tuple(
        1 if padded or taps == 1 else draw(st.integers(1, min(2, (size - 1) // (taps - 1))))
        for taps, size in zip(kernel, pixels, strict=True)
    )
    strides = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    window = Window(kernel, strides, pads, dilations, draw(st.booleans()))
    # ONNX Runtime differs from the operator's definition where a window holds padding alone.
    return replace(window, ceil_mode=False)
