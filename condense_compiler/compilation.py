"""The result of compiling a network: something to run, look at, save and load again."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from condense_compiler.errors import InputError
from condense_compiler.memory.buffers import Plan
from condense_compiler.memory.placement import Placement
from condense_compiler.memory.placement_csv import write_placement
from condense_compiler.memory.sharing import Sharing
from condense_compiler.program import ScheduledProgram
from condense_compiler.report.notebook import picture_html, report_html
from condense_compiler.report.picture import Picture
from condense_compiler.report.report import Report
from condense_compiler.targets import Lowered

MODEL_FILE, PLAN_FILE = "model.onnx", "plan.csv"
REPORT_FILE, PICTURE_FILE = "report.json", "picture.json"


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

    def save(self, folder: str | Path) -> None:
        """Write model, plan, report, picture and what the target adds, whole or not at all.

        Files of these names in the folder are replaced; others stay.

        Raises:
            InputError: The folder cannot be written.
        """
        destination = Path(folder)
        check_writable(destination)
        try:
            with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".condense-") as name:
                staging = Path(name) / "new"
                staging.mkdir()
                self._write(staging)
                _move_all(staging, destination, Path(name))
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{destination}: cannot be written: {reason}") from error

    def _write(self, folder: Path) -> None:
        self.program.network.save(folder / MODEL_FILE)
        placement = self.placement
        write_placement(folder / PLAN_FILE, self.sharing, placement.steps, placement.offsets)
        text = json.dumps(self.report.to_dict(), indent=2) + "\n"
        (folder / REPORT_FILE).write_text(text, encoding="utf-8")
        text = json.dumps(self.picture.to_dict(), separators=(",", ":")) + "\n"
        (folder / PICTURE_FILE).write_text(text, encoding="utf-8")
        self.lowered.save(folder)


def check_writable(folder: Path) -> None:
    """Refuse, before any work is done, a folder that cannot be written.

    Raises:
        InputError: It exists and is not a folder, or the rights are missing.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; give a folder to write to")
    existing = folder if folder.exists() else folder.parent
    if not existing.is_dir():
        raise InputError(f"{folder}: the folder {str(existing)!r} does not exist; create it first")
    for place in {existing, folder.parent}:
        if not os.access(place, os.W_OK | os.X_OK):
            raise InputError(f"{folder}: no right to write in {str(place)!r}")


def _move_all(staging: Path, destination: Path, spare: Path) -> None:
    """Put files in their place, those that stood there aside; put everything back on failure."""
    if not destination.exists():
        staging.rename(destination)
        return
    aside = spare / "old"
    aside.mkdir()
    placed: list[Path] = []
    try:
        for path in sorted(staging.iterdir()):
            place = destination / path.name
            if place.exists():
                place.rename(aside / path.name)
            path.rename(place)
            placed.append(place)
    except BaseException:
        for place in placed:
            place.rename(staging / place.name)
        for path in aside.iterdir():
            path.rename(destination / path.name)
        raise
