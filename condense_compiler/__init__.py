"""A graph compiler for convolutional networks on small memories.

Example:
    import condense_compiler as cc

    compilation = cc.compile("model.onnx", dims={"batch": 1})
    outputs = compilation.run({"input": x})
    compilation.save("out/")
"""

from importlib import import_module

# As in `typing`, which takes longer to import than all that the command needs to hear Ctrl-C.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from condense_compiler.compilation import Compilation
    from condense_compiler.driver import compile_model as compile  # noqa: A004 - cc.compile(...)
    from condense_compiler.driver import compile_request
    from condense_compiler.errors import (
        CondenseError,
        ContractError,
        InputError,
        UnsupportedError,
    )
    from condense_compiler.limits import Limits
    from condense_compiler.network import Network, load_network
    from condense_compiler.report.report import Report
    from condense_compiler.request import Request
    from condense_compiler.targets.onnxruntime import custom_ops_library, onnxruntime_session

    __version__: str

# Where each name comes from. They are imported when first used: that takes a moment, which the
# command line, and whoever needs a part of the package alone, spend elsewhere.
_HOMES = {
    "Compilation": "compilation:Compilation",
    "CondenseError": "errors:CondenseError",
    "ContractError": "errors:ContractError",
    "InputError": "errors:InputError",
    "Limits": "limits:Limits",
    "Network": "network:Network",
    "Report": "report.report:Report",
    "Request": "request:Request",
    "UnsupportedError": "errors:UnsupportedError",
    "compile": "driver:compile_model",
    "compile_request": "driver:compile_request",
    "custom_ops_library": "targets.onnxruntime:custom_ops_library",
    "load_network": "network:load_network",
    "onnxruntime_session": "targets.onnxruntime:onnxruntime_session",
}


def __getattr__(name: str) -> "Any":
    if name == "__version__":
        return import_module("importlib.metadata").version("condense-compiler")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    found = getattr(import_module(f"{__name__}.{module}"), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "Compilation",
    "CondenseError",
    "ContractError",
    "InputError",
    "Limits",
    "Network",
    "Report",
    "Request",
    "UnsupportedError",
    "__version__",
    "compile",
    "compile_request",
    "custom_ops_library",
    "load_network",
    "onnxruntime_session",
]
