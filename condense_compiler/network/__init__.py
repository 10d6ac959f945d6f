"""Networks: loading ONNX models into a mutable graph, and turning it back into a model."""

from condense_compiler.network.loading import load_network
from condense_compiler.network.network import Network
from condense_compiler.network.tensors import tensor_bytes

__all__ = ["Network", "load_network", "tensor_bytes"]
