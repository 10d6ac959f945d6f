"""The table of operators: who computes what."""

from collections.abc import Mapping

from condense_compiler.operators import fused
from condense_compiler.targets.reference.convolution import conv, conv_pool
from condense_compiler.targets.reference.fallback import evaluate_with_onnx
from condense_compiler.targets.reference.kernel import Builder, Kernel, NodeContext

_BUILDERS: Mapping[tuple[str, str], Builder] = {
    (fused.DOMAIN, fused.OP): conv_pool,
    ("", "Conv"): conv,
}


def kernel_for(context: NodeContext) -> Kernel:
    """Return what computes a node: numpy where the table has it, `onnx.reference` otherwise."""
    domain = context.node.domain or ""
    builder = _BUILDERS.get(("" if domain == "ai.onnx" else domain, context.node.op))
    kernel = builder(context) if builder else None
    return kernel or evaluate_with_onnx(context)
