"""Small models of a layer or two: convolution, element-wise stages, cross-channel pooling."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from graph_writer import GraphWriter
from onnx import numpy_helper
from spellings import Maps

from kit.spellings import ALL_SPELLINGS, PARTS
from kit.stages import STAGES

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """How a convolution or a spatial max-pooling walks over the pixels; () is ONNX's default.

    Attributes:
        kernel: Size along each spatial axis; its length is the number of spatial dimensions.
        strides: Step along each spatial axis.
        dilations: Distance of taps along each spatial axis.
        pads: All beginnings, then all ends.
        auto_pad: ONNX's rule for the pads.
        ceil_mode: Keep a last, incomplete position; for poolings alone.
    """

    kernel: Sizes = (3, 3)
    strides: Sizes = ()
    dilations: Sizes = ()
    pads: Sizes = ()
    auto_pad: str = ""
    ceil_mode: bool = False

    def attributes(self) -> dict[str, Any]:
        """Return the ONNX attributes, those at their defaults left out."""
        attributes = {
            "kernel_shape": self.kernel,
            "strides": self.strides,
            "dilations": self.dilations,
            "pads": self.pads,
            "auto_pad": self.auto_pad,
            "ceil_mode": int(self.ceil_mode),
        }
        return {name: value for name, value in attributes.items() if value}

    def positions(self, spatial: Sizes) -> Sizes:
        """Return the spatial dimensions of the output."""
        return tuple(self._positions(axis, size) for axis, size in enumerate(spatial))

    def starts_in_end_padding(self, spatial: Sizes) -> bool:
        """Tell whether ceil_mode would add a window that starts behind the map.

        No runtime computes it, yet ONNX's shape inference counts it for opsets before 22.
        """
        return any(self._is_beyond(axis, size) for axis, size in enumerate(spatial))

    def _positions(self, axis: int, size: int) -> int:
        if self.auto_pad.startswith("SAME"):
            return -(-size // self._stride(axis))
        if not self.ceil_mode:
            return self._free(axis, size) // self._stride(axis) + 1
        beyond = self._is_beyond(axis, size)
        return -(-self._free(axis, size) // self._stride(axis)) + (0 if beyond else 1)

    def _is_beyond(self, axis: int, size: int) -> bool:
        last = -(-self._free(axis, size) // self._stride(axis)) * self._stride(axis)
        return self.ceil_mode and last >= size + (self.pads[axis] if self.pads else 0)

    def _stride(self, axis: int) -> int:
        return self.strides[axis] if self.strides else 1

    def _free(self, axis: int, size: int) -> int:
        """Return how far the window can move from its first position."""
        dilation = self.dilations[axis] if self.dilations else 1
        reach = dilation * (self.kernel[axis] - 1) + 1
        return size + sum(self.pads[axis :: len(self.kernel)]) - reach


@dataclass(frozen=True)
class Layer:
    """A convolution whose maps are pooled across channels.

    Attributes:
        spelling: How the pooling is written, from `ALL_SPELLINGS`.
        groups: Number of channels behind the pooling.
        window: Number of channels pooled into one.
        convolution: How the convolution walks.
        group: Groups of the convolution, as in ONNX.
        bias: Whether the convolution has a bias.
        before: Stages between convolution and pooling, from `STAGES`.
        inside: Stages between the spelling's Reshape, Split, ... and its reduction; those with a
            value for each channel need a spelling in `PARTS`.
        after: Stages behind the pooling.
        max_pool: Spatial max-pooling at the end.
    """

    spelling: str = "reduce_max"
    groups: int = 4
    window: int = 2
    convolution: Window = Window(pads=(1, 1, 1, 1))
    group: int = 1
    bias: bool = True
    before: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    max_pool: Window | None = None

    @property
    def separate(self) -> bool:
        """Whether several convolutions compute the maps."""
        return ALL_SPELLINGS[self.spelling].grouping == "separate"

    def spatial(self, spatial: Sizes) -> Sizes:
        """Return the spatial dimensions of the layer's output."""
        spatial = self.convolution.positions(spatial)
        return self.max_pool.positions(spatial) if self.max_pool else spatial


class LayerWriter(GraphWriter):
    """Writes layers.

    Args:
        opset: ONNX opset.
        seed: Seed of the weights.
        constant_nodes: Store integers in Constant nodes, as the older PyTorch exporter does.
    """

    def __init__(self, opset: int, seed: int = 0, constant_nodes: bool = False) -> None:
        super().__init__(opset, seed)
        self._constant_nodes = constant_nodes
        self._inside: tuple[tuple[str, ...], int, int] = ((), 1, 0)

    def layer(self, tensor: str, channels: int, spatial: Sizes, layer: Layer, batch: int) -> str:
        """Write a layer.

        Args:
            tensor: What the convolution reads.
            channels: Number of its channels.
            spatial: Its spatial dimensions.
            layer: What to write.
            batch: Size of the batch in Reshape's terms.
        """
        count, size = (
            (layer.window, layer.groups) if layer.separate else (1, layer.groups * layer.window)
        )
        names = []
        for _ in range(count):
            wide = self.convolution(tensor, channels, size, layer)
            names.append(self.stages(wide, layer.before, size, len(spatial)))
        pixels = layer.convolution.positions(spatial)
        in_parts = layer.spelling in PARTS
        self._inside = layer.inside, layer.groups if in_parts else 1, len(spatial)
        maps = Maps(tuple(names), layer.groups, layer.window, pixels, batch)
        pooled = ALL_SPELLINGS[layer.spelling].write(self, maps)
        pooled = self.stages(pooled, layer.after, layer.groups, len(spatial))
        if layer.max_pool is None:
            return pooled
        return self.write("MaxPool", pooled, **layer.max_pool.attributes())

    def convolution(self, tensor: str, channels: int, filters: int, layer: Layer = Layer()) -> str:
        """Write the convolution of a layer with a given number of filters."""
        window = layer.convolution
        shape = (filters, channels // layer.group, *window.kernel)
        weights = self.random.standard_normal(shape) * (2.0 / np.prod(shape[1:])) ** 0.5
        bias = [self.constant(self.random.normal(0.0, 0.3, filters), "bias")] if layer.bias else []
        return self.write(
            "Conv",
            tensor,
            self.constant(weights, "weight"),
            *bias,
            group=layer.group,
            **window.attributes(),
        )

    def stages(self, tensor: str, names: Sequence[str], channels: int, rank: int) -> str:
        """Write element-wise stages one behind the other."""
        for name in names:
            tensor = STAGES[name].write(self, tensor, channels, rank)
        return tensor

    def inside(self, tensor: str) -> str:
        """Write the layer's stages for inside."""
        return self.stages(tensor, *self._inside)

    def constant(self, values: npt.ArrayLike, name: str = "constant") -> str:
        """Store a tensor."""
        array = np.asarray(values)
        if not self._constant_nodes or array.dtype.kind == "f":
            return super().constant(array, name)
        return self.write("Constant", value=numpy_helper.from_array(array.astype(np.int64)))


@dataclass(frozen=True)
class Network:
    """Layers one behind the other, and how they are written.

    Attributes:
        layers: From input to output.
        channels: Number of input channels.
        spatial: Spatial dimensions of the input.
        batch: Size of the batch; 0 and -1 make it the symbolic dimension `batch`, which Reshape
            then copies or infers.
        opset: ONNX opset.
        seed: Seed of the weights.
        constant_nodes: Store integers in Constant nodes.
    """

    layers: tuple[Layer, ...] = (Layer(),)
    channels: int = 3
    spatial: Sizes = (8, 7)
    batch: int = 1
    opset: int = 18
    seed: int = 0
    constant_nodes: bool = False

    def build(self) -> onnx.ModelProto:
        """Return the model, from `input` to `output`."""
        graph = LayerWriter(self.opset, self.seed, self.constant_nodes)
        tensor, channels, spatial = "input", self.channels, self.spatial
        for index, layer in enumerate(self.layers):
            graph.scope = f"layer{index + 1}"
            tensor = graph.layer(tensor, channels, spatial, layer, self.batch)
            channels, spatial = layer.groups, layer.spatial(spatial)
        batch = self.batch if self.batch > 0 else "batch"
        return graph.model(
            "layers",
            {"input": (batch, self.channels, *self.spatial)},
            {graph.rename(tensor, "output"): (batch, channels, *spatial)},
        )
