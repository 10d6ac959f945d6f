"""The onnxruntime target: a model that plain ONNX Runtime runs, and kernels that run it fast."""

from condense_compiler.targets.onnxruntime.library import custom_ops_library
from condense_compiler.targets.onnxruntime.session import onnxruntime_session
from condense_compiler.targets.onnxruntime.target import OnnxRuntimeTarget

__all__ = ["OnnxRuntimeTarget", "custom_ops_library", "onnxruntime_session"]
