"""The target: check the plan's outline, prepare every operator."""

from dataclasses import dataclass
from typing import ClassVar

from condense_compiler.program import ScheduledProgram
from condense_compiler.targets.reference.executable import ReferenceExecutable, prepare


@dataclass(frozen=True, slots=True)
class ReferenceTarget:
    """Runs in numpy, in exactly the arena that was planned.

    Attributes:
        poison: Fill the arena with 0xFF (NaN in every floating-point type) before a run, so that
            reading what was never written shows.
    """

    name: ClassVar[str] = "reference"

    poison: bool = False

    def lower(self, program: ScheduledProgram) -> ReferenceExecutable:
        """Prepare every operator of a program.

        Raises:
            ContractError: The plan gives a feature map no place, one outside the arena, or one
                that its operator cannot write to because of what it reads.
            UnsupportedError: An operator is unknown.
        """
        return prepare(program, self.poison)
