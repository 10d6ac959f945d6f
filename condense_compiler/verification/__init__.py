"""Comparing a compiled network with ONNX Runtime on the model as given."""

from condense_compiler.verification.comparing import TOLERANCES, verify
from condense_compiler.verification.effort import check_effort
from condense_compiler.verification.inputs import Feeds, random_feeds
from condense_compiler.verification.original import Original, original_outputs

__all__ = [
    "TOLERANCES",
    "Feeds",
    "Original",
    "check_effort",
    "original_outputs",
    "random_feeds",
    "verify",
]
