"""Maps with NaN or infinity, where what an operator makes of them depends on how it computes.

ONNX leaves open what a maximum over NaN is. ONNX Runtime's depends on the order of comparison, so
it is asked; the numpy kernels, which let NaN win, compute all other maps.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.reference.fallback import ONNXRUNTIME, compute_elsewhere
from condense_compiler.targets.reference.kernel import (
    Array,
    Builder,
    Compute,
    Kernel,
    NodeContext,
    is_float,
)

Trigger = Callable[[Array], bool]


def has_nan(values: Array) -> bool:
    """Tell whether a map holds NaN."""
    return bool(np.isnan(np.max(values)))


def is_not_finite(values: Array) -> bool:
    """Tell whether a map holds NaN or infinity."""
    return not (np.isfinite(np.max(values)) and np.isfinite(np.min(values)))


def asking_onnxruntime(trigger: Trigger, builder: Builder) -> Builder:
    """Let ONNX Runtime compute a node of such maps, if it has the operator."""

    def build(context: NodeContext) -> Kernel | None:
        kernel = builder(context)
        if kernel is None or not is_float(context.dtype()):
            return kernel
        # Made when it is first needed: most networks never are fed with NaN.
        elsewhere = cache(lambda: _in_onnxruntime(context))

        def compute(inputs: Sequence[Array], outputs: Sequence[Array], scratch: Array) -> None:
            other = elsewhere() if trigger(inputs[0]) else None
            (other or kernel.compute)(inputs, outputs, scratch)

        return Kernel(compute, kernel.buffer_bytes, kernel.temporary_bytes)

    return build


def _in_onnxruntime(context: NodeContext) -> Compute | None:
    try:
        kernel = compute_elsewhere(context)
    except UnsupportedError:
        return None
    return kernel.compute if kernel.computed_by == ONNXRUNTIME else None
