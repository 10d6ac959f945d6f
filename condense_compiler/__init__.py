"""A graph compiler for convolutional networks on small memories.

Example:
    import condense_compiler as cc

    compilation = cc.compile("model.onnx", dims={"batch": 1})
    outputs = compilation.run({"input": x})
    compilation.save("out/")
"""

from importlib.metadata import version

from condense_compiler.compilation import Compilation
from condense_compiler.driver import compile_model as compile  # noqa: A004 - cc.compile(...)
from condense_compiler.errors import (
    CondenseError,
    ContractError,
    InputError,
    UnsupportedError,
)
from condense_compiler.network import Network, load_network
from condense_compiler.report.report import Report
from condense_compiler.targets.onnxruntime import custom_ops_library, onnxruntime_session

__version__ = version("condense-compiler")

__all__ = [
    "Compilation",
    "CondenseError",
    "ContractError",
    "InputError",
    "Network",
    "Report",
    "UnsupportedError",
    "__version__",
    "compile",
    "custom_ops_library",
    "load_network",
    "onnxruntime_session",
]
