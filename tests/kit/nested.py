"""U-Nets whose decoders are nested in each other: concatenations that begin or end alike."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class NestedWriter:
    """Writes maps of some channels and pixels, all sides alike."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._shapes: dict[str, tuple[int, int]] = {}

    def start(self, name: str, channels: int, side: int) -> str:
        """Name an input."""
        self._shapes[name] = channels, side
        return name

    def write(self, op: str, inputs: list[str], channels: int, side: int, **attributes) -> str:
        """Append an operator; return the name of its result."""
        result = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [result], **attributes))
        self._shapes[result] = channels, side
        return result

    def layer(self, source: str, channels: int) -> str:
        """Append a convolution and an activation."""
        before, side = self._shapes[source]
        weights = self._weights(channels, before, 3, 3)
        wide = self.write("Conv", [source, weights], channels, side, pads=[1] * 4)
        return self.write("LeakyRelu", [wide], channels, side)

    def down(self, source: str) -> str:
        """Append a pooling to half the sides."""
        channels, side = self._shapes[source]
        attributes = {"kernel_shape": [2, 2], "strides": [2, 2]}
        return self.write("MaxPool", [source], channels, side // 2, **attributes)

    def up(self, source: str, channels: int) -> str:
        """Append a transposed convolution to twice the sides."""
        before, side = self._shapes[source]
        weights = self._weights(before, channels, 2, 2)
        return self.write("ConvTranspose", [source, weights], channels, 2 * side, strides=[2, 2])

    def join(self, parts: list[str]) -> str:
        """Append a concatenation."""
        channels = sum(self._shapes[part][0] for part in parts)
        return self.write("Concat", parts, channels, self._shapes[parts[0]][1], axis=1)

    def model(self, source: str, outputs: list[str]) -> onnx.ModelProto:
        """Return the model."""
        channels, side = self._shapes[source]
        graph = helper.make_graph(
            self._nodes,
            "nested",
            [helper.make_tensor_value_info(source, TensorProto.FLOAT, [1, channels, side, side])],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            self._constants,
        )
        opset = helper.make_opsetid("", 17)
        return onnx.shape_inference.infer_shapes(
            helper.make_model(graph, opset_imports=[opset], ir_version=8)
        )

    def _weights(self, *shape: int) -> str:
        name = f"w{len(self._constants)}"
        values = np.random.default_rng(len(self._constants)).standard_normal(shape)
        self._constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name


def nested_unet(widths: list[int], *, skips_first: bool = True, side: int = 16) -> onnx.ModelProto:
    """Return a U-Net++ (Zhou et al., 2018) of one layer in each place.

    Args:
        widths: Channels at each depth.
        skips_first: Concatenations begin with what comes from the same depth.
        side: Rows and columns of the input.
    """
    w = NestedWriter()
    depth = len(widths)
    maps = {(0, 0): w.layer(w.start("x", 1, side), widths[0])}
    for level in range(1, depth):
        maps[level, 0] = w.layer(w.down(maps[level - 1, 0]), widths[level])
    for place in range(1, depth):
        for level in range(depth - place):
            skips = [maps[level, before] for before in range(place)]
            raised = w.up(maps[level + 1, place - 1], widths[level])
            parts = [*skips, raised] if skips_first else [raised, *skips]
            maps[level, place] = w.layer(w.join(parts), widths[level])
    return w.model("x", [maps[0, depth - 1]])
