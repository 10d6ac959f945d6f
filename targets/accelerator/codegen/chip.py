"""Places on the chip for the maps that stay there, and for the stripes of each operator."""

from dataclasses import dataclass

from condense_compiler.memory.buffers import Buffer, Plan, Verdict
from condense_compiler.memory.planner import plan
from condense_compiler.targets.accelerator.codegen.residency import Choice, Conflict, Problem

ALIGNMENT_BYTES = 16


def map_name(number: int) -> str:
    """Return what plans call a map."""
    return f"map{number}"


def staging_name(step: int) -> str:
    """Return what plans call the stripes of a step."""
    return f"staging{step}"


@dataclass(frozen=True, slots=True)
class Chip:
    """The feature-map memory.

    Attributes:
        problem: The maps that may stay there, and its size.
    """

    problem: Problem

    def smallest_plan(self, choice: Choice) -> Plan:
        """Place a choice in as little memory as can be found."""
        return plan(self._buffers(choice, 0, _steps(choice)))

    def plan(self, choice: Choice) -> Plan:
        """Place a choice in the memory; the plan tells whether it fits."""
        return self._plan(choice, 0, _steps(choice))

    def places(self, choice: Choice, planned: Plan) -> dict[int, int]:
        """Return the address of each map on the chip."""
        return {n: planned.offsets[map_name(h)] for n, h in self._holders(choice).items()}

    def conflict(self, choice: Choice) -> Conflict | None:
        """Tell why a choice cannot be placed: in as few steps as have no places. None if it can."""
        if self._verdict(choice, 0, _steps(choice)) is Verdict.FITS:
            return None
        fits, upper = 0, _steps(choice)  # halve the steps in which the last one of them lies
        while upper - fits > 1:
            middle = (fits + upper) // 2
            if self._verdict(choice, 0, middle) is Verdict.FITS:
                fits = middle
            else:
                upper = middle
        lower, fits = 0, upper
        while fits - lower > 1:
            middle = (lower + fits) // 2
            if self._verdict(choice, middle, upper) is Verdict.FITS:
                fits = middle
            else:
                lower = middle
        return Conflict(
            lower=lower,
            upper=upper,
            resident=frozenset(
                number
                for number in choice.resident
                if self.problem.maps[number].lower < upper
                and lower < self.problem.maps[number].upper
            ),
            staging_bytes=tuple(o.staging_bytes for o in choice.options[lower:upper]),
            proved=self._verdict(choice, lower, upper) is Verdict.DOES_NOT_FIT,
        )

    def _verdict(self, choice: Choice, lower: int, upper: int) -> Verdict:
        return self._plan(choice, lower, upper).verdict(self.problem.capacity_bytes)

    def _plan(self, choice: Choice, lower: int, upper: int) -> Plan:
        return plan(self._buffers(choice, lower, upper), capacity=self.problem.capacity_bytes)

    def _holders(self, choice: Choice) -> dict[int, int]:
        """Return, for each map on the chip, the first map of those that take each other's place."""
        holders = {number: number for number in choice.resident}
        for _, (source, result) in sorted(self.problem.overwriting.items()):
            if source in holders and result in holders:
                holders[result] = holders[source]
        return holders

    def _buffers(self, choice: Choice, lower: int, upper: int) -> list[Buffer]:
        """Return what is on the chip during some steps, lives cut to them."""
        lives: dict[int, tuple[int, int]] = {}
        for number, holder in sorted(self._holders(choice).items()):
            each, life = self.problem.maps[number], lives.get(holder)
            first, last = life or (each.lower, each.upper)
            lives[holder] = (min(first, each.lower), max(last, each.upper))
        buffers = [
            Buffer(
                map_name(holder),
                max(first, lower),
                min(last, upper),
                self.problem.maps[holder].size_bytes,
                ALIGNMENT_BYTES,
            )
            for holder, (first, last) in lives.items()
            if first < upper and lower < last
        ]
        return buffers + [
            Buffer(
                staging_name(step),
                step,
                step + 1,
                choice.options[step].staging_bytes,
                ALIGNMENT_BYTES,
            )
            for step in range(lower, min(upper, len(choice.options)))
            if choice.options[step].staging_bytes
        ]


def _steps(choice: Choice) -> int:
    """Return the number of steps; a network in which nothing runs has one."""
    return max(len(choice.options), 1)
