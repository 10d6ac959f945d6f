"""The layers that irregular networks are made of, with batch norms folded into the filters."""

from dataclasses import dataclass

import numpy as np
import onnx
from graph_writer import GraphWriter

OPSET = 18
IMAGE_CHANNELS = 3
CLASSES = 10


@dataclass(frozen=True)
class Maps:
    """Feature maps under construction: a tensor, its channels, its height and width."""

    name: str
    channels: int
    side: int


class LayerWriter(GraphWriter):
    """A network under construction, layer by layer."""

    def __init__(self, seed: int) -> None:
        super().__init__(OPSET, seed)

    def image(self, size: int) -> Maps:
        """Return the input of the network."""
        return Maps("input", IMAGE_CHANNELS, size)

    def convolution(
        self, maps: Maps, channels: int, kernel: int = 1, stride: int = 1, dilation: int = 1
    ) -> Maps:
        """Write a convolution that mixes all channels."""
        return self._convolution(maps, channels, (kernel, stride, dilation), 1)

    def depthwise(self, maps: Maps, kernel: int, stride: int = 1, dilation: int = 1) -> Maps:
        """Write a convolution of each channel by itself."""
        return self._convolution(maps, maps.channels, (kernel, stride, dilation), maps.channels)

    def separable(
        self, maps: Maps, channels: int, kernel: int, stride: int = 1, dilation: int = 1
    ) -> Maps:
        """Write an activation, a depthwise and a pointwise convolution."""
        spatial = self.depthwise(self.relu(maps), kernel, stride, dilation)
        return self.convolution(spatial, channels)

    def separable_twice(self, maps: Maps, channels: int, kernel: int, stride: int = 1) -> Maps:
        """Write two separable convolutions, of which the first strides."""
        first = self.separable(maps, maps.channels, kernel, stride)
        return self.separable(first, channels, kernel)

    def relu(self, maps: Maps) -> Maps:
        """Write an activation."""
        return Maps(self.write("Relu", maps.name), maps.channels, maps.side)

    def relu_convolution(self, maps: Maps, channels: int) -> Maps:
        """Write an activation and a pointwise convolution."""
        return self.convolution(self.relu(maps), channels)

    def pool(self, op_type: str, maps: Maps, stride: int = 1) -> Maps:
        """Write a 3x3 pooling: MaxPool or AveragePool."""
        options = {"kernel_shape": [3, 3], "pads": [1] * 4, "strides": [stride] * 2}
        return Maps(self.write(op_type, maps.name, **options), maps.channels, maps.side // stride)

    def add(self, *parts: Maps) -> Maps:
        """Write sums of two, as many as it takes."""
        total = parts[0].name
        for part in parts[1:]:
            total = self.write("Add", total, part.name)
        return Maps(total, parts[0].channels, parts[0].side)

    def concat(self, *parts: Maps) -> Maps:
        """Write a concatenation of channels; of one part, nothing."""
        if len(parts) == 1:
            return parts[0]
        name = self.write("Concat", *(part.name for part in parts), axis=1)
        return Maps(name, sum(part.channels for part in parts), parts[0].side)

    def factorized_reduction(self, maps: Maps, channels: int) -> Maps:
        """Write a pointwise convolution with stride 2 that looks at every other pixel twice."""
        active = self.relu(maps)
        first = self.convolution(active, channels // 2, stride=2)
        shifted = active.name
        for axis in (2, 3):
            shifted = self.slice(shifted, 1, maps.side, axis=axis)
        second = self.convolution(
            Maps(shifted, maps.channels, maps.side - 1), channels - channels // 2, stride=2
        )
        return self.concat(first, second)

    def classifier(self, maps: Maps, name: str, size: int) -> onnx.ModelProto:
        """Write the mean of each channel and a fully connected layer; return the model."""
        pooled = self.write("GlobalAveragePool", self.relu(maps).name)
        flat = self.write("Flatten", pooled)
        weights = self.random.standard_normal((CLASSES, maps.channels)) / maps.channels**0.5
        bias = self.constant(self.random.normal(0.0, 0.1, CLASSES), "bias")
        output = self.write("Gemm", flat, self.constant(weights, "weight"), bias, transB=1)
        return self.model(
            name,
            {"input": (1, IMAGE_CHANNELS, size, size)},
            {self.rename(output, "output"): (1, CLASSES)},
        )

    def _convolution(
        self, maps: Maps, channels: int, window: tuple[int, int, int], group: int
    ) -> Maps:
        kernel, stride, dilation = window
        shape = (channels, maps.channels // group, kernel, kernel)
        deviation = np.float32((2.0 / (shape[1] * kernel * kernel)) ** 0.5)
        weights = self.random.standard_normal(shape, np.float32) * deviation
        bias = self.constant(self.random.normal(0.0, 0.1, channels), "bias")
        name = self.write(
            "Conv",
            maps.name,
            self.constant(weights, "weight"),
            bias,
            kernel_shape=[kernel] * 2,
            pads=[dilation * (kernel // 2)] * 4,
            strides=[stride] * 2,
            dilations=[dilation] * 2,
            group=group,
        )
        return Maps(name, channels, -(-maps.side // stride))
