"""Running a binary for a network on the simulator, and what its results must equal."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_graphsurgeon as gs

from condense_compiler.report.report import Verification
from condense_compiler.targets.accelerator.agreement import (
    Agreement,
    compare_operators,
    compare_outputs,
)
from condense_compiler.targets.accelerator.integer.executor import execute
from condense_compiler.targets.accelerator.integer.network import IntegerNetwork
from condense_compiler.targets.accelerator.isa.binary import Binary
from condense_compiler.targets.accelerator.simulator.simulate import Run, simulate
from condense_compiler.targets.element_types import numpy_dtype
from condense_compiler.targets.feeds import check_feeds
from condense_compiler.targets.reference.kernel import constant_value

Feeds = Mapping[str, npt.NDArray[Any]]

EXECUTOR = "the integer executor"
TOLERATED_SHARE = 1e-3  # of codes that may differ from ONNX Runtime's
TOLERATED_STEPS = 1


def run_binary(ends: gs.Graph, binary: Binary, feeds: Feeds) -> Run:
    """Run a binary on the simulator.

    Graph outputs that nothing computes, those that are inputs or constants, pass by it.

    Args:
        ends: The graph that it was made of.
        binary: The binary.
        feeds: Graph inputs.

    Raises:
        InputError: The feeds do not match the graph inputs.
    """
    check_feeds(ends.inputs, feeds)
    read = {port.name for port in binary.ports if not port.is_output}
    run = simulate(binary, {name: values for name, values in feeds.items() if name in read})
    known = {**feeds, **run.outputs}
    return replace(run, outputs={t.name: output_of(t, known) for t in ends.outputs})


def output_of(tensor: gs.Tensor, known: Feeds) -> npt.NDArray[Any]:
    """Return a graph output in its type and shape, given what was fed and computed."""
    values = constant_value(tensor) if isinstance(tensor, gs.Constant) else known[tensor.name]
    return values.astype(numpy_dtype(tensor)).reshape(tuple(tensor.shape))


def verify_codes(
    found: Mapping[str, npt.NDArray[Any]],
    fused: IntegerNetwork,
    quantised: onnx.ModelProto | None,
    feeds: Feeds,
) -> Verification:
    """Compare the simulator with the executor, and the executor with ONNX Runtime.

    The simulator must equal the executor bit by bit. The differences to ONNX Runtime are those
    of the outputs' codes: the largest in steps, and the share of codes that differ. It adds up in
    floating point, where one step may become many further on; then it is each operator, computed
    from ONNX Runtime's inputs, that must agree.

    Args:
        found: Graph outputs of the simulator.
        fused: The network in integers.
        quantised: The quantised model, if there is one.
        feeds: Graph inputs.
    """
    expected = execute(fused, feeds)
    typed = {name: values.astype(found[name].dtype) for name, values in expected.items()}
    if any(not np.array_equal(typed[name], found[name], equal_nan=True) for name in typed):
        return Verification(np.inf, np.inf, 0.0, of_codes=True, against=EXECUTOR)
    if quantised is None:
        return Verification(0.0, 0.0, 0.0, of_codes=True, against=EXECUTOR)
    ends = _judged(compare_outputs(fused, quantised, feeds))
    if ends.passed:
        return ends
    agreement = compare_operators(fused, quantised, feeds)
    operators = _judged(agreement)
    return operators if operators.passed else ends


def _judged(agreement: Agreement) -> Verification:
    share = agreement.differing_share if agreement.largest_steps <= TOLERATED_STEPS else np.inf
    steps = float(agreement.largest_steps)
    return Verification(steps, share, TOLERATED_SHARE, of_codes=True)
