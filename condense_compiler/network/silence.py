"""Keeping libraries from printing: a compiler's output is its own."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from onnx_graphsurgeon.logger import G_LOGGER

_ONNXRUNTIME_WARNING, _ONNXRUNTIME_ERROR = 2, 3  # severities; the first is its default


@contextmanager
def quiet_libraries(*, onnxruntime: bool = False) -> Iterator[None]:
    """Mute onnx-graphsurgeon's logger and Python warnings while the block runs.

    Args:
        onnxruntime: Mute ONNX Runtime's warnings as well (importing it takes a moment).
    """
    with G_LOGGER.suppress(G_LOGGER.CRITICAL + 1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not onnxruntime:
            yield
            return
        import onnxruntime as runtime  # noqa: PLC0415 - only where it is needed, see above

        runtime.set_default_logger_severity(_ONNXRUNTIME_ERROR)
        try:
            yield
        finally:
            runtime.set_default_logger_severity(_ONNXRUNTIME_WARNING)
