"""The shared library that registers the fused operators with ONNX Runtime."""

import ctypes
import os
from importlib.util import find_spec

import onnxruntime as ort

from condense_compiler.errors import InputError, UnsupportedError

# Not a Python module, but installed like one, so that its file has the platform's name.
_LIBRARY = "condense_compiler._onnxruntime"
OLDEST_ONNXRUNTIME = (1, 29)
VARIABLE = "CONDENSE_ISA"  # restricts the instructions
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


def why_unsuitable() -> str | None:
    """Return why the library should not be used here; None if it should.

    Raises:
        InputError: `CONDENSE_ISA` names an instruction set that cannot be used.
    """
    version = tuple(int(part) for part in ort.__version__.split(".")[:2])
    if version < OLDEST_ONNXRUNTIME:
        oldest = ".".join(map(str, OLDEST_ONNXRUNTIME))
        return f"ONNX Runtime {ort.__version__} is older than {oldest}"
    try:
        if instruction_set() == _SLOW and not os.environ.get(VARIABLE):
            return "the processor has neither AVX-512 nor AVX2 with fused multiply-add"
    except (UnsupportedError, OSError) as error:
        return str(error)
    return None


def instruction_set() -> str:
    """Return the name of the instruction set that kernels made now use.

    That is the best one of this processor, or the one that `CONDENSE_ISA` names.

    Raises:
        UnsupportedError: The package was installed without the library.
        OSError: The library cannot be loaded.
        InputError: `CONDENSE_ISA` names an instruction set that cannot be used.
    """
    used = ctypes.CDLL(custom_ops_library()).condense_instruction_set
    used.restype = ctypes.c_char_p
    name: bytes | None = used()
    if name is None:
        raise InputError(
            f"{VARIABLE} is {os.environ.get(VARIABLE)!r}: name avx512, avx2 or portable, one that "
            f"this processor has, or leave it unset"
        )
    return name.decode()
