"""The pieces of which networks that branch are made."""

from collections.abc import Callable, Sequence

import onnx
from spellings import Maps

from kit.layers import Layer, LayerWriter, Window
from kit.spellings import ALL_SPELLINGS

GROUPS, WINDOW = 4, 2
WIDE = GROUPS * WINDOW
CHANNELS, SPATIAL = 3, (8, 6)
IMAGE = (1, CHANNELS, *SPATIAL)
PLAIN = Layer(groups=GROUPS, window=WINDOW)
POINTWISE = Layer(convolution=Window((1, 1)))


class TopologyWriter(LayerWriter):
    """Writes the pieces that the networks below are made of."""

    def __init__(self) -> None:
        super().__init__(opset=18)
        self.inputs: dict[str, tuple[int, ...]] = {"input": IMAGE}

    def input(self, name: str, *shape: int) -> str:
        """Add an input."""
        self.inputs[name] = shape
        return name

    def wide(self, tensor: str = "input", filters: int = WIDE) -> str:
        """Write a convolution."""
        return self.convolution(tensor, CHANNELS, filters, PLAIN)

    def pooled(self, wide: str, spelling: str = "reduce_max", window: int = WINDOW) -> str:
        """Write the pooling of a wide map."""
        maps = Maps((wide,), WIDE // window, window, SPATIAL)
        return ALL_SPELLINGS[spelling].write(self, maps)

    def random_constant(self, *shape: int) -> str:
        """Store random numbers."""
        return self.constant(self.random.standard_normal(shape))

    def grouped(self, wide: str) -> str:
        """Write the Reshape to groups x window."""
        return self.reshape(wide, (1, GROUPS, WINDOW, *SPATIAL))

    def finished(self, outputs: Sequence[str]) -> onnx.ModelProto:
        """Return the model with these outputs, named output, output_1, ..."""
        names = ["output", *(f"output_{index}" for index in range(1, len(outputs)))]
        for tensor, name in zip(outputs, names, strict=True):
            self.rename(tensor, name)
        model = self.model("topology", dict(self.inputs), dict.fromkeys(names))
        return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


Write = Callable[[TopologyWriter], Sequence[str]]


def build(write: Write) -> onnx.ModelProto:
    """Return the network that a function writes."""
    graph = TopologyWriter()
    return graph.finished(write(graph))


def reduced(graph: TopologyWriter, tensor: str, axis: int = 2, op: str = "ReduceMax") -> str:
    """Write a reduction that drops its axis."""
    return graph.along(op, tensor, [axis], keepdims=0)
