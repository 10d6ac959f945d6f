"""Operators off the main path: computed by ONNX Runtime, or by `onnx.reference` where it cannot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from condense_compiler.errors import UnsupportedError
from condense_compiler.network.reading import first_line
from condense_compiler.network.silence import quiet_libraries
from condense_compiler.targets.bound_session import binding_types, run_bound
from condense_compiler.targets.element_types import numpy_dtype
from condense_compiler.targets.reference.kernel import ABSENT, Array, Kernel, NodeContext
from condense_compiler.targets.reference.single_node import (
    fixed_operands,
    single_node_models,
    unique,
)

ONNXRUNTIME, ONNX_REFERENCE = "onnxruntime", "onnx.reference"


def compute_elsewhere(context: NodeContext) -> Kernel:
    """Prepare a node that has no kernel here.

    Raises:
        UnsupportedError: Nobody can compute it.
    """
    try:
        fixed = fixed_operands(context)
        models = list(single_node_models(context, fixed))
    except (onnx.defs.SchemaError, TypeError, ValueError) as error:
        raise _refusal(context, first_line(error)) from None
    session, reason = _session(models)
    if session is None:
        kernel = _with_evaluator(context, models[0], frozenset(fixed), reason)
    else:
        kernel = _with_session(context, session, frozenset(fixed))
    _try(context, kernel)
    return kernel


def _try(context: NodeContext, kernel: Kernel) -> None:
    """Refuse a node that nobody computes now, rather than when everything else is done.

    Raises:
        UnsupportedError: It is computed neither of zeros nor of ones; one of them is a place in
            any map, the other a length of any.
    """
    node = context.node
    room = np.empty(0, np.uint8)
    results = [np.empty(t.shape, numpy_dtype(t)) if t.name else ABSENT for t in node.outputs]
    known = [context.constant(index) for index in range(len(node.inputs))]
    failure = None
    for fill in (0, 1):
        values = [
            np.full(t.shape, fill, numpy_dtype(t)) if t.name and value is None else value
            for t, value in zip(node.inputs, known, strict=True)
        ]
        try:
            kernel.compute([ABSENT if v is None else v for v in values], results, room)
        except UnsupportedError as error:
            failure = error
        else:
            return
    if failure is not None:
        raise failure


def _session(models: Sequence[onnx.ModelProto]) -> tuple[Any, str]:
    """Return a session of ONNX Runtime of the first model that it runs, or None and why not."""
    import onnxruntime as ort  # noqa: PLC0415 - takes a moment, and few networks need it

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 4
    reasons = []
    for model in models:
        try:
            content = model.SerializeToString()
            return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"]), ""
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no other base
            reasons.append(first_line(error))
    return None, reasons[0]


def _with_session(context: NodeContext, session: Any, fixed: frozenset[str]) -> Kernel:
    """Return a kernel that lets ONNX Runtime read and write feature maps where they lie."""
    names = [tensor.name for tensor in context.node.inputs]
    types = binding_types(*context.node.inputs, *context.node.outputs)
    outputs = [tensor.name for tensor in context.node.outputs]

    def compute(values: Sequence[Array], results: Sequence[Array], _scratch: Array) -> None:
        fed = {n: v for n, v in zip(names, values, strict=True) if n and n not in fixed}
        written = {n: v for n, v in zip(outputs, results, strict=True) if n}
        sources = {name: np.asarray(value, order="C") for name, value in fed.items()}
        targets = {name: _apart(value, sources) for name, value in written.items()}
        try:
            run_bound(session, types, sources, targets)
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
    context: NodeContext, model: onnx.ModelProto, fixed: frozenset[str], reason: str
) -> Kernel:
    """Return a kernel of `onnx.reference`."""
    names = [tensor.name for tensor in context.node.inputs]
    outputs = [tensor.name for tensor in context.node.outputs]
    wanted = [tensor.name for tensor in unique(context.node.outputs)]

    def compute(values: Sequence[Array], results: Sequence[Array], _scratch: Array) -> None:
        feeds = {n: v for n, v in zip(names, values, strict=True) if n and n not in fixed}
        targets = {n: v for n, v in zip(outputs, results, strict=True) if n}
        try:
            with quiet_libraries(), np.errstate(all="ignore"):
                computed = ReferenceEvaluator(model).run(wanted, feeds)
            for name, value in zip(wanted, computed, strict=True):
                _store(targets[name], np.asarray(value))
        except Exception as error:  # noqa: BLE001 - the evaluator raises anything
            raise _refusal(context, f"{reason}; onnx.reference: {first_line(error)}") from None

    return Kernel(compute, computed_by=ONNX_REFERENCE)


def _store(target: Array, value: Array) -> None:
    # The evaluator gives back scalars and other types of the same kind, but shapes must fit.
    if value.shape != target.shape:
        raise ValueError(f"a result of shape {list(value.shape)} instead of {list(target.shape)}")
    np.copyto(target, value, casting="unsafe")


def _refusal(context: NodeContext, reason: str) -> UnsupportedError:
    node = context.node
    return UnsupportedError(f"node {node.name!r} ({node.op}) cannot be computed: {reason}")
