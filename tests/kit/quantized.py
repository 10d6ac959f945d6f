"""Models that hold one `condense::QLinearConvPool`, and a strategy that draws them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from condense_compiler.operators.fused import DOMAIN, ConvPool
from condense_compiler.operators.quantized import (
    INPUTS,
    QUANTIZED_OP,
    TABLE,
    quantized_function_body,
)
from kit.fused import FUNCTIONS_WITH_OVERLOADS, OPSET, FusedLayer, fused_layers

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class QuantizedLayer:
    """A layer in 8 bits.

    Attributes:
        layer: The layer whose recipe and sizes it has.
        input_type: Type of the input.
        output_type: Type of the output.
        filter_type: Type of the filters; the signed ones have the zero point 0.
        filter_zero: Zero point of unsigned filters.
        table: Whether there is a table.
        scale_for_each_filter: Whether filters have a scale each.
    """

    layer: FusedLayer
    input_type: type[np.generic] = np.uint8
    output_type: type[np.generic] = np.uint8
    filter_type: type[np.generic] = np.int8
    filter_zero: int = 128
    table: bool = False
    scale_for_each_filter: bool = False

    def tensors(self) -> dict[str, Array]:
        """Return all inputs but x, random, by name."""
        generator = np.random.default_rng(self.layer.seed)
        layer, recipe = self.layer, self.layer.recipe
        shape = (layer.wide, layer.channels // recipe.group, *recipe.convolution.kernel_shape)
        scales = (layer.wide,) if self.scale_for_each_filter else ()
        limits = np.iinfo(self.filter_type)
        filters = generator.integers(limits.min, limits.max + 1, shape)
        zero = 0 if self.filter_type == np.int8 else self.filter_zero
        size = float(np.prod(shape[1:])) ** 0.5
        values: dict[str, Array] = {
            "x_scale": np.float32(0.05),
            "x_zero_point": self._byte(generator, self.input_type),
            "w": filters.astype(self.filter_type),
            "w_scale": generator.uniform(0.01, 0.02, scales).astype(np.float32),
            "w_zero_point": np.array(zero, self.filter_type),
            "y_scale": np.float32(0.05 * size),
            "y_zero_point": self._byte(generator, self.output_type),
        }
        if layer.bias:
            values["B"] = generator.integers(-9999, 9999, layer.wide).astype(np.int32)
        if self.table:
            values[TABLE] = generator.integers(0, 256, 256).astype(np.uint8).view(self.output_type)
        return values

    def model(self) -> onnx.ModelProto:
        """Return a model that computes the layer."""
        layer = self.layer
        convolved = layer.recipe.convolution.output_shape(layer.pixels)
        signed = self.output_type == np.int8
        function = quantized_function_body(
            layer.recipe, (layer.batch, layer.wide, *convolved), OPSET,
            table=self.table, signed=signed,
        )  # fmt: skip
        tensors = self.tensors()
        names = ["x", *[name if name in tensors else "" for name in INPUTS[1:]]]
        if self.table:
            names.append(TABLE)
        attributes = layer.recipe.to_attributes()
        node = helper.make_node(
            QUANTIZED_OP,
            names,
            ["y"],
            name="layer",
            domain=DOMAIN,
            overload=function.overload,
            **attributes,
        )
        kinds = [helper.np_dtype_to_tensor_dtype(np.dtype(t)) for t in self._types()]
        shape = (layer.batch, layer.channels, *layer.pixels)
        graph = helper.make_graph(
            [node],
            "quantized_layer",
            [helper.make_tensor_value_info("x", kinds[0], shape)],
            [helper.make_tensor_value_info("y", kinds[1], None)],
            [numpy_helper.from_array(np.asarray(v), name) for name, v in tensors.items()],
        )
        return helper.make_model(
            graph,
            functions=[function],
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)],
            ir_version=FUNCTIONS_WITH_OVERLOADS,
        )

    def feeds(self) -> dict[str, Array]:
        """Return what the model is fed."""
        layer = self.layer
        shape = (layer.batch, layer.channels, *layer.pixels)
        generator = np.random.default_rng(layer.seed + 1)
        return {"x": generator.integers(0, 256, shape).astype(np.uint8).view(self.input_type)}

    def _types(self) -> tuple[type[np.generic], type[np.generic]]:
        return self.input_type, self.output_type

    @staticmethod
    def _byte(generator: np.random.Generator, kind: type[np.generic]) -> Array:
        return np.asarray(generator.integers(100, 156), np.uint8).view(kind)


@st.composite
def quantized_layers(draw: st.DrawFn) -> QuantizedLayer:
    """Draw a layer: max or min, each map in one group, one or two axes (ONNX Runtime's limit)."""
    drawn = draw(fused_layers().filter(lambda layer: len(layer.pixels) == 2))
    recipe = ConvPool(
        drawn.recipe.convolution,
        drawn.recipe.group,
        draw(st.sampled_from(("max", "max", "min"))),
        drawn.recipe.window,
        spatial=drawn.recipe.spatial,
    )
    layer = FusedLayer(
        recipe, drawn.batch, drawn.channels, drawn.wide, drawn.pixels, drawn.bias, seed=drawn.seed
    )
    signed = draw(st.booleans())
    return QuantizedLayer(
        layer,
        input_type=np.int8 if signed else np.uint8,
        output_type=np.int8 if signed else np.uint8,
        filter_type=np.int8 if signed else draw(st.sampled_from((np.int8, np.uint8))),
        filter_zero=draw(st.sampled_from((0, 77, 128, 255))),
        table=draw(st.booleans()),
        scale_for_each_filter=draw(st.booleans()),
    )
