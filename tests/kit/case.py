"""A model together with what a compiler must find in it."""

from collections.abc import Callable
from dataclasses import dataclass

import onnx


@dataclass(frozen=True)
class Expected:
    """What a compiler must find.

    Attributes:
        fused: Number of fused layers; None where fusing and not fusing are both right, as long as
            the numbers agree.
        refused: A word of the reason with which a layer must be refused; "" for a refusal with any
            reason; None where nothing is said about refusals.
    """

    fused: int | None = 1
    refused: str | None = None


@dataclass(frozen=True)
class Case:
    """A model and what a compiler must find in it."""

    id: str
    build: Callable[[], onnx.ModelProto]
    expected: Expected = Expected()
