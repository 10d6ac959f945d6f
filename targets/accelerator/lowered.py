"""A network as a binary for the accelerator: run it, save it, verify it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from condense_compiler.program import ScheduledProgram
from condense_compiler.report.report import Verification
from condense_compiler.targets.accelerator.agreement import (
    Agreement,
    compare_operators,
    compare_outputs,
    operators_in_floating_point,
)
from condense_compiler.targets.accelerator.codegen.generate import Code
from condense_compiler.targets.accelerator.codegen.placement import MemoryPlan
from condense_compiler.targets.accelerator.codegen.tiling import Work
from condense_compiler.targets.accelerator.integer.executor import execute
from condense_compiler.targets.accelerator.integer.network import Binary, IntegerNetwork
from condense_compiler.targets.accelerator.isa.binary import to_bytes
from condense_compiler.targets.accelerator.simulator.simulate import Run, simulate
from condense_compiler.targets.feeds import check_feeds

BINARY_FILE, QUANTISED_FILE = "program.bin", "quantised.onnx"
TOLERATED_SHARE = 1e-3  # of codes that may differ from ONNX Runtime's
TOLERATED_STEPS = 1
TOLERATED_STEPS_BEHIND_TABLES = 2  # a table may make two steps of one


@dataclass(frozen=True, slots=True)
class AcceleratorProgram:
    """A program, lowered.

    Attributes:
        program: What was lowered.
        network: The same in integers, as the binary runs it.
        fused: The same before pooling was separated for a machine that has no unit for it.
        memory: Where its maps lie.
        code: The binary.
        quantised: The quantised model, if the target made or was given it.
    """

    program: ScheduledProgram
    network: IntegerNetwork
    fused: IntegerNetwork
    memory: MemoryPlan
    code: Code
    quantised: onnx.ModelProto | None

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Compute the graph outputs, by name, on the simulator.

        Raises:
            InputError: The feeds do not match the graph inputs.
        """
        return dict(self.simulate(feeds).outputs)

    def simulate(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Run:
        """Run on the simulator.

        Raises:
            InputError: The feeds do not match the graph inputs.
        """
        check_feeds(self.program.network.graph.inputs, feeds)
        return simulate(self.code.binary, feeds)

    def verify(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Verification:
        """Compare the simulator with the executor, and the executor with ONNX Runtime.

        The simulator must equal the executor bit by bit. The differences to ONNX Runtime are those
        of the outputs' codes: the largest in steps, and the share of codes that differ. Where it
        adds up in floating point, one step there may become many further on; then it is each
        operator, computed from ONNX Runtime's inputs, that must agree.
        """
        expected, found = execute(self.fused, feeds), self.run(feeds)
        if any(not np.array_equal(expected[name], found[name]) for name in expected):
            return Verification(np.inf, np.inf, TOLERATED_SHARE)
        if self.quantised is None:
            return Verification(0.0, 0.0, TOLERATED_SHARE)
        ends = _judged(compare_outputs(self.fused, self.quantised, feeds), TOLERATED_STEPS)
        if ends.passed or not operators_in_floating_point(self.quantised):
            return ends
        agreement = compare_operators(self.fused, self.quantised, feeds)
        return _judged(agreement, TOLERATED_STEPS_BEHIND_TABLES)

    def save(self, folder: Path) -> None:
        """Write the binary, and the quantised model that it stands for."""
        (folder / BINARY_FILE).write_bytes(to_bytes(self.code.binary))
        if self.quantised is not None:
            onnx.save(self.quantised, folder / QUANTISED_FILE)

    def facts(self) -> dict[str, object]:
        """Return what a run costs, as far as it is known without running."""
        chip = [root.name for root in self.memory.chip]
        return {
            "machine": self.code.binary.machine.to_dict(),
            "pooling_unit_bytes": self.code.binary.machine.pooling_unit_bytes,
            "feature_maps_on_chip": len(chip),
            "feature_maps_in_dram": len(set(self.memory.dram) - set(self.memory.chip)),
            "chip_bytes": self.memory.chip_bytes,
            "dram_bytes": self.memory.dram_bytes,
            "weight_bytes": len(self.code.binary.weights),
            "instructions": len(self.code.binary.instructions),
            "placement_optimal": self.memory.optimal,
            "operators": [
                {"node": w.operator.name, "blocks": len(w.blocks), **_tiling(t), **_joined(w)}
                for w, t in zip(self.memory.work, self.memory.tilings, strict=True)
            ],
        }


def _joined(work: Work) -> dict[str, object]:
    """Return how many pairs of codes an operator on two maps rounds otherwise."""
    operator = work.operator
    return {"differing_pairs": operator.differing_pairs} if isinstance(operator, Binary) else {}


def _judged(agreement: Agreement, tolerated_steps: int) -> Verification:
    share = agreement.differing_share if agreement.largest_steps <= tolerated_steps else np.inf
    return Verification(float(agreement.largest_steps), share, TOLERATED_SHARE)


def _tiling(tiling: object) -> dict[str, object]:
    kept = ("rows", "blocks_first", "traffic_bytes")
    return {key: value for key, value in asdict(tiling).items() if key in kept}  # type: ignore[call-overload]
