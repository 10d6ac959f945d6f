"""The onnxruntime target: a model that plain ONNX Runtime runs."""

from condense_compiler.targets.onnxruntime.target import OnnxRuntimeTarget

__all__ = ["OnnxRuntimeTarget"]
