"""The result of compiling a network: something to run, look at, save and load again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from condense_compiler.files import replace_folder, write_file
from condense_compiler.files.manifest import REPORT_FILE, describe
from condense_compiler.memory.buffers import Plan
from condense_compiler.memory.placement import Placement
from condense_compiler.memory.placement_csv import write_placement
from condense_compiler.memory.sharing import Sharing
from condense_compiler.network.external_data import model_files
from condense_compiler.program import ScheduledProgram
from condense_compiler.report.notebook import picture_html, report_html
from condense_compiler.report.picture import Picture
from condense_compiler.report.report import Report
from condense_compiler.targets import Lowered

MODEL_FILE, PLAN_FILE, PICTURE_FILE = "model.onnx", "plan.csv", "picture.json"

# Beside what targets add; the second holds weights that do not fit the model.
FILES = (MODEL_FILE, f"{MODEL_FILE}.data", PLAN_FILE, REPORT_FILE, PICTURE_FILE)


@dataclass(frozen=True, slots=True)
class Compilation:
    """A compiled network.

    Attributes:
        program: The rewritten network, ordered and placed.
        sharing: What the network stores, and which feature maps share memory.
        placement: What runs when, and where everything lies.
        lowered: What the target made of it.
        report: What was done and what it saved.
        picture: The plans before and after, as they are shown.
    """

    program: ScheduledProgram
    sharing: Sharing
    placement: Placement
    lowered: Lowered
    report: Report
    picture: Picture

    @property
    def plan(self) -> Plan:
        """The plan of the arena: an offset for each storage."""
        return self.placement.plan

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Compute the network's outputs, by name, from its inputs, by name.

        Raises:
            InputError: The feeds do not match the network's inputs.
        """
        return self.lowered.run(feeds)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the plans, then the report."""
        return picture_html(self.picture) + report_html(self.report)

    def save(self, folder: str | Path) -> Report:
        """Write model, plan, report, picture and what the target adds, whole or not at all.

        What an earlier compilation wrote to the folder goes; what else lies there stays.

        Returns:
            The report as it was saved: with the digests of the model and of the other files.

        Raises:
            InputError: The folder cannot be written, or a file would take the place of the model
                that was compiled, or of its external data.
        """
        saved = replace(self.report, request=self.report.request.with_digest())

        def write(staging: Path) -> None:
            nonlocal saved
            self._write(staging)
            saved = replace(saved, artefacts=describe(staging))
            write_file(staging / REPORT_FILE, json.dumps(saved.to_dict(), indent=2) + "\n")

        source, destination = saved.request.model_path, Path(folder)
        kept = model_files(Path(source)) if source is not None and destination.is_dir() else ()
        replace_folder(destination, write, kept)
        return saved

    def _write(self, folder: Path) -> None:
        self.program.network.save(folder / MODEL_FILE)
        placement = self.placement
        write_placement(folder / PLAN_FILE, self.sharing, placement.steps, placement.offsets)
        text = json.dumps(self.picture.to_dict(), separators=(",", ":")) + "\n"
        write_file(folder / PICTURE_FILE, text)
        self.lowered.save(folder)
