"""Targets: what a scheduled program is lowered to, one folder each, found by name.

Other packages add targets through the entry-point group `condense_compiler.targets`: each entry
names a frozen dataclass that follows `Target`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

import numpy.typing as npt
import onnx

from condense_compiler.network import Network
from condense_compiler.option_text import configured
from condense_compiler.plugins import installed_names, load_installed, unknown_name
from condense_compiler.program import ScheduledProgram
from condense_compiler.report.measure import Given
from condense_compiler.report.memory_figures import Footprint
from condense_compiler.report.picture import Picture
from condense_compiler.report.report import Verification
from condense_compiler.rewriting.contract import Pass
from condense_compiler.rewriting.runner import AppliedPass

ENTRY_POINTS = "condense_compiler.targets"

# Built-in targets: name -> "module:class", imported when first asked for.
BUILT_IN: Mapping[str, str] = {
    "reference": "condense_compiler.targets.reference:ReferenceTarget",
    "onnxruntime": "condense_compiler.targets.onnxruntime:OnnxRuntimeTarget",
    "accelerator": "condense_compiler.targets.accelerator:AcceleratorTarget",
}


@runtime_checkable
class Runnable(Protocol):
    """A program that can be run."""

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Compute the graph outputs, by name, from the graph inputs, by name.

        Raises:
            InputError: The feeds do not match the graph inputs.
        """


@runtime_checkable
class Lowered(Runnable, Protocol):
    """A program, lowered."""

    def save(self, folder: Path) -> None:
        """Write what the target adds to the output folder, beyond model, plan and report."""

    def facts(self) -> dict[str, object]:
        """Return what the report says about the lowering: JSON values by name."""


@runtime_checkable
class Target(Protocol):
    """A way to run a program: a frozen dataclass whose fields are its options.

    A class attribute `files` may tell patterns of the files that it adds to a folder, so that
    `condense compile` refuses early what would write over the model that it reads.
    """

    name: ClassVar[str]

    def lower(self, program: ScheduledProgram) -> Lowered:
        """Turn a scheduled program into what the target runs."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a target makes of a model before it is rewritten.

    Attributes:
        network: The network to compile.
        target: The target that lowers it.
        applied: What those of the passes did that had to run before.
        steps: How often each step of the target's own was needed, by name.
    """

    network: Network
    target: Target
    applied: Sequence[AppliedPass] = ()
    steps: Mapping[str, int] = field(default_factory=dict)


@runtime_checkable
class Preparing(Protocol):
    """A target that changes a network before it is rewritten, such as by quantising it."""

    def prepare(
        self, source: str | Path | onnx.ModelProto, dims: Mapping[str, int], passes: Sequence[Pass]
    ) -> Prepared:
        """Return the network to compile, and what was done to it.

        Args:
            source: The model as given.
            dims: Sizes of symbolic dimensions.
            passes: The passes that will run; those among them that only help before run here, too,
                and no others do.

        Raises:
            InputError: The model cannot be used.
        """


@runtime_checkable
class Placing(Protocol):
    """A target that places what it stores on its own; of the plan, it only takes the order."""

    places_itself: ClassVar[bool]


@runtime_checkable
class Selecting(Protocol):
    """A target that has nothing to compute what some of the default passes make."""

    without_passes: ClassVar[frozenset[str]]


@runtime_checkable
class Loading(Protocol):
    """A target that runs what it saved; others lower the program again."""

    def load(self, folder: Path, program: ScheduledProgram, facts: Mapping[str, Any]) -> Runnable:
        """Read what `Lowered.save` wrote.

        Args:
            folder: Where it was written.
            program: The program that was saved with it.
            facts: What `Lowered.facts` said then.

        Raises:
            InputError: A file is missing or damaged, or does not belong to the program.
        """


@runtime_checkable
class Verifying(Protocol):
    """A lowered program that knows what it must equal."""

    def verify(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Verification:
        """Compare a run with what it must equal."""


@runtime_checkable
class Measuring(Protocol):
    """A lowered program that is not stored in the planned arena, and tells what it stores."""

    def footprint(self, given: Given) -> Footprint:
        """Return what is stored and moved.

        Args:
            given: What was measured of the network as given.
        """

    def picture(self, given: Given) -> Picture:
        """Return what lies where, and when, before and after.

        Args:
            given: What was measured of the network as given.
        """


def target_names() -> list[str]:
    """Return the names of all targets: our own, then installed ones."""
    return [*BUILT_IN, *installed_names(ENTRY_POINTS)]


def target_files(name: str) -> tuple[str, ...]:
    """Return patterns of the files that a target adds to a folder, as far as it tells them.

    Raises:
        InputError: No target has this name.
    """
    return tuple(getattr(_target_class(name), "files", ()))


def find_target(name: str, options: Mapping[str, str] | None = None) -> Target:
    """Return a target.

    Args:
        name: Its name.
        options: Values of its fields, as text.

    Raises:
        InputError: No target has this name, or the target no such option.
    """
    return cast(Target, configured(f"target {name!r}", _target_class(name), options or {}))


def _target_class(name: str) -> Any:
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return getattr(import_module(module), attribute)
    installed = load_installed(ENTRY_POINTS, name)
    if installed is None:
        raise unknown_name("target", name, target_names())
    return installed
