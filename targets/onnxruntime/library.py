"""The shared library that registers the fused operators with ONNX Runtime."""

import ctypes
from functools import cache
from importlib.util import find_spec

import onnxruntime as ort

from condense_compiler.errors import UnsupportedError

# Not a Python module, but installed like one, so that its file has the platform's name.
_LIBRARY = "condense_compiler._onnxruntime"
OLDEST_ONNXRUNTIME = (1, 20)
_SLOW = "portable"


def custom_ops_library() -> str:
    """Return the path of the library, for `SessionOptions.register_custom_ops_library`.

    Raises:
        UnsupportedError: The package was installed without it.
    """
    spec = find_spec(_LIBRARY)
    if spec is None or spec.origin is None:
        raise UnsupportedError("this installation has no library of ONNX Runtime operators")
    return spec.origin


@cache
def why_unsuitable() -> str | None:
    """Return why the library should not be used here; None if it should."""
    version = tuple(int(part) for part in ort.__version__.split(".")[:2])
    if version < OLDEST_ONNXRUNTIME:
        oldest = ".".join(map(str, OLDEST_ONNXRUNTIME))
        return f"ONNX Runtime {ort.__version__} is older than {oldest}"
    try:
        if best_instruction_set() == _SLOW:
            return "the processor has neither AVX-512 nor AVX2 with fused multiply-add"
    except (UnsupportedError, OSError) as error:
        return str(error)
    return None


def best_instruction_set() -> str:
    """Return the name of the best instruction set that the kernels can use here.

    Raises:
        UnsupportedError: The package was installed without the library.
        OSError: The library cannot be loaded.
    """
    best = ctypes.CDLL(custom_ops_library()).condense_instruction_set
    best.restype = ctypes.c_char_p
    name: bytes = best()
    return name.decode()
