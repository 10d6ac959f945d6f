"""A network as a binary for the accelerator: run it, save it, verify it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx

from condense_compiler.files import write_file
from condense_compiler.program import ScheduledProgram
from condense_compiler.report.measure import Given
from condense_compiler.report.memory_figures import Footprint
from condense_compiler.report.picture import Picture
from condense_compiler.report.report import Verification
from condense_compiler.targets.accelerator.codegen.generate import Code
from condense_compiler.targets.accelerator.codegen.placement import MemoryPlan
from condense_compiler.targets.accelerator.folder import BINARY_FILE, save_quantised
from condense_compiler.targets.accelerator.footprint import Placed, footprint
from condense_compiler.targets.accelerator.integer.forms import Forms, to_facts
from condense_compiler.targets.accelerator.integer.network import IntegerNetwork
from condense_compiler.targets.accelerator.isa.binary import to_bytes
from condense_compiler.targets.accelerator.picture import draw
from condense_compiler.targets.accelerator.running import run_binary, verify_codes
from condense_compiler.targets.accelerator.simulator.simulate import Run


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
        forms: How ONNX Runtime computes its operators.
    """

    program: ScheduledProgram
    network: IntegerNetwork
    fused: IntegerNetwork
    memory: MemoryPlan
    code: Code
    quantised: onnx.ModelProto | None
    forms: Forms

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
        return run_binary(self.program, self.code.binary, feeds)

    def verify(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Verification:
        """Compare the simulator with the executor, and the executor with ONNX Runtime."""
        return verify_codes(self.run(feeds), self.fused, self.quantised, self.forms, feeds)

    def save(self, folder: Path) -> None:
        """Write the binary, and the quantised model that it stands for."""
        write_file(folder / BINARY_FILE, to_bytes(self.code.binary))
        save_quantised(folder, self.quantised)

    def footprint(self, given: Given) -> Footprint:
        """Return what the machine stores and moves."""
        return footprint(given, [Placed(self.code.binary, self.memory)])

    def picture(self, given: Given) -> Picture:
        """Return what lies on the chip, and when."""
        return draw(given, [(self.network, self.memory)])

    def facts(self) -> dict[str, object]:
        """Return what a run costs, as far as it is known without running."""
        chip = [root.name for root in self.memory.chip]
        return {
            "machine": self.code.binary.machine.to_dict(),
            "pooling_unit_bytes": self.code.binary.machine.pooling_unit_bytes,
            "feature_maps_on_chip": len(chip),
            "feature_maps_in_dram": len(self.memory.maps) - len(chip),
            "chip_bytes": self.memory.chip_bytes,
            "dram_bytes": self.memory.dram_bytes,
            "weight_bytes": len(self.code.binary.weights),
            "instructions": len(self.code.binary.instructions),
            "placement_optimal": self.memory.optimal,
            "forms": to_facts(self.forms),
            "operators": [
                {"node": w.operator.name, "blocks": len(w.blocks), **_tiling(t)}
                for w, t in zip(self.memory.work, self.memory.tilings, strict=True)
            ],
        }


def _tiling(tiling: object) -> dict[str, object]:
    kept = ("rows", "blocks_first", "traffic_bytes")
    return {key: value for key, value in asdict(tiling).items() if key in kept}  # type: ignore[call-overload]
