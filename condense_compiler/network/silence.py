"""Keeping libraries from printing: a compiler's output is its own."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from onnx_graphsurgeon.logger import G_LOGGER


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Mute onnx-graphsurgeon's logger and Python warnings while the block runs."""
    with G_LOGGER.suppress(G_LOGGER.CRITICAL + 1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
