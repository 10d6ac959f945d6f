"""Operators off the main path: computed by ONNX Runtime, or by `onnx.reference` where it cannot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from condense_compiler.errors import UnsupportedError
from condense_compiler.network.reading import first_line
from condense_compiler.network.silence import quiet_libraries
from condense_compiler.network.tensors import element_type
from condense_compiler.targets.reference.kernel import Array, Kernel, NodeContext
from condense_compiler.targets.reference.single_node import (
    fixed_operands,
    single_node_model,
    unique,
)

ONNXRUNTIME, ONNX_REFERENCE = "onnxruntime", "onnx.reference"

# Operators of which ONNX Runtime computes other sizes than it infers (`network/resized.py`).
_ROUNDED = frozenset({"Resize", "Upsample"})


def compute_elsewhere(context: NodeContext) -> Kernel:
    """Prepare a node that has no kernel here.

    Raises:
        UnsupportedError: Nobody can compute it.
    """
    try:
        fixed = fixed_operands(context)
        model = single_node_model(context, fixed)
    except (onnx.defs.SchemaError, TypeError, ValueError) as error:
        raise _refusal(context, first_line(error)) from None
    session, reason = _session(model)
    if session is not None:
        if context.node.op not in _ROUNDED:
            _check_shapes(context, {output.name: output.shape for output in session.get_outputs()})
        return _with_session(context, session, frozenset(fixed))
    return _with_evaluator(context, model, fixed, reason)


def _session(model: onnx.ModelProto) -> tuple[Any, str]:
    """Return a session of ONNX Runtime, or None and why it does not run the model."""
    import onnxruntime as ort  # noqa: PLC0415 - takes a moment, and few networks need it

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 4
    try:
        content = model.SerializeToString()
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"]), ""
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no other base
        return None, first_line(error)


def _with_session(context: NodeContext, session: Any, fixed: frozenset[str]) -> Kernel:
    """Return a kernel that lets ONNX Runtime read and write feature maps where they lie."""
    names = [tensor.name for tensor in context.node.inputs]
    types = {t.name: element_type(t) for t in (*context.node.inputs, *context.node.outputs)}
    outputs = [tensor.name for tensor in context.node.outputs]

    def compute(values: Sequence[Array], results: Sequence[Array], _scratch: Array) -> None:
        fed = {n: v for n, v in zip(names, values, strict=True) if n and n not in fixed}
        written = {n: v for n, v in zip(outputs, results, strict=True) if n}
        sources = {name: np.asarray(value, order="C") for name, value in fed.items()}
        targets = {name: _apart(value, sources) for name, value in written.items()}
        binding = session.io_binding()
        for name, value in sources.items():
            binding.bind_input(name, "cpu", 0, types[name], value.shape, value.ctypes.data)
        for name, value in targets.items():
            binding.bind_output(name, "cpu", 0, types[name], value.shape, value.ctypes.data)
        try:
            session.run_with_iobinding(binding)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no other base
            raise _refusal(context, first_line(error)) from None
        for name, value in targets.items():
            if value is not written[name]:
                np.copyto(written[name], value)

    return Kernel(compute, computed_by=ONNXRUNTIME)


def _apart(result: Array, sources: Mapping[str, Array]) -> Array:
    """Return where a result may be written while all sources are still read."""
    in_place = result.flags.c_contiguous and not any(
        np.may_share_memory(result, source) for source in sources.values()
    )
    return result if in_place else np.empty(result.shape, result.dtype)


def _with_evaluator(
    context: NodeContext, model: onnx.ModelProto, fixed: Mapping[str, Array], reason: str
) -> Kernel:
    """Return a kernel of `onnx.reference`, which has been seen to compute the node."""
    node = context.node
    names = [tensor.name for tensor in node.inputs]
    outputs = [tensor.name for tensor in node.outputs]
    wanted = [tensor.name for tensor in unique(node.outputs)]

    def evaluate(feeds: Mapping[str, Array]) -> dict[str, Array]:
        try:
            with quiet_libraries(), np.errstate(all="ignore"):
                values = ReferenceEvaluator(model).run(wanted, dict(feeds))
            return {n: np.asarray(value) for n, value in zip(wanted, values, strict=True)}
        except Exception as error:  # noqa: BLE001 - the evaluator raises anything
            raise _refusal(context, f"{reason}; onnx.reference: {first_line(error)}") from None

    def compute(values: Sequence[Array], results: Sequence[Array], _scratch: Array) -> None:
        feeds = {n: v for n, v in zip(names, values, strict=True) if n and n not in fixed}
        computed = evaluate(feeds)
        for name, result in zip(outputs, results, strict=True):
            if name:
                np.copyto(result, computed[name], casting="unsafe")

    trial = {
        tensor.name: np.zeros(tensor.shape, context.dtype(index))
        for index, tensor in enumerate(node.inputs)
        if tensor.name and tensor.name not in fixed
    }
    _check_shapes(context, {name: value.shape for name, value in evaluate(trial).items()})
    return Kernel(compute, computed_by=ONNX_REFERENCE)


def _check_shapes(context: NodeContext, shapes: Mapping[str, Sequence[object]]) -> None:
    """Refuse a node whose results are of another shape than planned."""
    for tensor in unique(context.node.outputs):
        found, planned = list(shapes[tensor.name]), list(tensor.shape)
        if all(isinstance(size, int) for size in found) and found != planned:
            raise _refusal(context, f"its result is of shape {found}, where {planned} was inferred")


def _refusal(context: NodeContext, reason: str) -> UnsupportedError:
    node = context.node
    return UnsupportedError(f"node {node.name!r} ({node.op}) cannot be computed: {reason}")
