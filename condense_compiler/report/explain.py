"""Why the peak is where it is, and what would have to change for a lower one."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from condense_compiler.operators.definition import Kind
from condense_compiler.report.picture import FeatureMap, PlanPicture


class Role(StrEnum):
    """What a feature map that is alive at a step has to do with its operator."""

    READ = "read now"
    WRITTEN = "written now"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Alive:
    """A feature map that is alive at the peak.

    Attributes:
        tensor: Name of the tensor.
        size: Bytes.
        first: Step that writes it.
        last: Last step that needs it.
        role: What it has to do with the operator of the peak.
        needed_by: Operators that still read it at the peak or later, in the order they run.
        kept: It is an output of the network.
        peak_without: The largest load if the map took no bytes.
    """

    tensor: str
    size: int
    first: int
    last: int
    role: Role
    needed_by: tuple[str, ...]
    kept: bool
    peak_without: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """The peak of a plan.

    Attributes:
        peak_bytes: The largest load.
        peak_steps: Where it is reached.
        step: The first of those, which the rest is about.
        operators: What runs there.
        ops: Their types.
        working_set_bytes: What these operators read and write: no order can need less there.
        largest_working_set_bytes: The same for the operator with the largest one.
        largest_working_set_operator: Its name.
        alive: What is alive, the largest first.
        next_peak_bytes: The largest load outside the steps of the peak.
        advice: What would have to change, the most promising first.
    """

    peak_bytes: int
    peak_steps: tuple[int, ...]
    step: int
    operators: tuple[str, ...]
    ops: tuple[str, ...]
    working_set_bytes: int
    largest_working_set_bytes: int
    largest_working_set_operator: str
    alive: tuple[Alive, ...]
    next_peak_bytes: int
    advice: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as `condense plan --explain --json` has it."""
        return asdict(self)


def explain(plan: PlanPicture) -> Explanation | None:
    """Explain the first peak of a plan; None if nothing runs."""
    if not plan.steps:
        return None
    step = plan.peak_steps[0]
    alive = sorted(
        (_describe(plan, each, step) for each in plan.alive_at(step)),
        key=lambda each: (-each.size, each.tensor),
    )
    sets = [_working_set(plan, number) for number in range(len(plan.steps))]
    largest = max(range(len(sets)), key=sets.__getitem__)
    others = [s.load for number, s in enumerate(plan.steps) if number not in plan.peak_steps]
    return Explanation(
        peak_bytes=plan.peak_bytes,
        peak_steps=plan.peak_steps,
        step=step,
        operators=plan.steps[step].operators,
        ops=plan.steps[step].ops,
        working_set_bytes=sets[step],
        largest_working_set_bytes=sets[largest],
        largest_working_set_operator=plan.steps[largest].operators[0],
        alive=tuple(alive),
        next_peak_bytes=max(others, default=0),
        advice=tuple(_Adviser(plan, step, sets[step]).advice()),
    )


def _describe(plan: PlanPicture, each: FeatureMap, step: int) -> Alive:
    later = [
        name
        for following in plan.steps[step:]
        for name in following.operators
        if name in each.readers
    ]
    return Alive(
        tensor=each.tensor,
        size=each.size,
        first=each.first,
        last=each.last,
        role=_role(plan, each, step),
        needed_by=tuple(later),
        kept=each.kept,
        peak_without=_peak_without(plan, each),
    )


def _role(plan: PlanPicture, each: FeatureMap, step: int) -> Role:
    running = plan.steps[step].operators
    if each.operator in running:
        return Role.WRITTEN
    return Role.READ if set(running) & set(each.readers) else Role.WAITING


def _working_set(plan: PlanPicture, step: int) -> int:
    return _covered(e for e in plan.alive_at(step) if _role(plan, e, step) is not Role.WAITING)


def _covered(maps: Iterable[FeatureMap]) -> int:
    """Return the bytes that maps occupy; those that two of them share count once."""
    total, end = 0, 0
    for each in sorted(maps, key=lambda each: each.offset):
        top = each.offset + each.size
        total += max(top - max(each.offset, end), 0)
        end = max(end, top)
    return total


def _peak_without(plan: PlanPicture, gone: FeatureMap) -> int:
    loads = [step.load for step in plan.steps]
    for step in range(gone.first, gone.last + 1):
        loads[step] = _covered(each for each in plan.alive_at(step) if each is not gone)
    return max(loads)


def _names(maps: Sequence[FeatureMap]) -> str:
    more = f" and {len(maps) - 1} more" if len(maps) > 1 else ""
    return f"{maps[0].tensor}{more} ({sum(each.size for each in maps):,} bytes)"


class _Adviser:
    """Finds what stands in the way of a lower peak."""

    def __init__(self, plan: PlanPicture, step: int, working_set: int) -> None:
        self._plan = plan
        self._step = step
        self._working_set = working_set
        self._running = plan.steps[step].operators
        self._alive = plan.alive_at(step)
        self._step_of = {
            name: number for number, each in enumerate(plan.steps) for name in each.operators
        }
        self._written: dict[str, list[FeatureMap]] = {}
        for each in plan.maps:
            self._written.setdefault(each.operator, []).append(each)
        self._after = self._reachable(self._running)

    def advice(self) -> Iterable[str]:
        yield self._on_working_set()
        reasons: dict[str, list[FeatureMap]] = {}
        for each in sorted(self._alive, key=lambda each: (-each.size, each.offset)):
            reason = _REASONS[_role(self._plan, each, self._step)](self, each)
            if reason:
                reasons.setdefault(reason, []).append(each)
        for reason, maps in reasons.items():
            yield f"{_names(maps)}: {reason}"
        if len(self._plan.peak_steps) > 1:
            places = ", ".join(map(str, self._plan.peak_steps))
            yield f"The peak is reached at steps {places}: each of them has to become smaller."

    def _on_working_set(self) -> str:
        name = " + ".join(self._running)
        waiting = self._plan.peak_bytes - self._working_set
        if waiting == 0:
            return (
                f"All {self._plan.peak_bytes:,} bytes are read or written by {name} itself, so no "
                "order of the operators has a lower peak. Make its maps smaller (resolution, "
                "channels, element type), or have it run in stripes of rows."
            )
        return (
            f"{name} itself reads and writes {self._working_set:,} bytes; {waiting:,} bytes "
            "wait meanwhile for other operators."
        )

    def on_waiting(self, each: FeatureMap) -> str:
        """Return why a map that this step does not touch is there."""
        later = self._later_readers(each)
        if not later:
            return "an output of the network, which stays until the end."
        path = self._after.get(later[0])
        if path is None:
            return f"waiting for {later[0]}, which does not depend on this step: order decides."
        return f"waiting for {later[0]}, which cannot run earlier: it needs {path}."

    def on_read(self, each: FeatureMap) -> str:
        """Return why the result does not take the place of a map that is read."""
        later = self._later_readers(each)
        if later:
            return f"read here, and cannot be written over: {later[0]} reads it later."
        if each.kept:
            return "read here, and cannot be written over: it is an output of the network."
        if each.overwritten_by:
            return f"read here for the last time, and {each.overwritten_by} takes its place."
        ops = " + ".join(self._plan.steps[self._step].ops)
        return f"read here for the last time, but {ops} needs it while it writes its result."

    def on_written(self, each: FeatureMap) -> str:
        """Return what a result is written for, where that could do without it."""
        reader = self._consumer(each)
        if reader is None:
            return ""
        return f"element-wise, for {reader} alone: computed inside that it need not be stored."

    def _consumer(self, each: FeatureMap) -> str | None:
        """Return the operator that a chain of element-wise ones ends in, if it has one end."""
        reader = None
        while each.kind is Kind.ELEMENT_WISE and len(each.readers) == 1 and not each.kept:
            reader = each.readers[0]
            written = self._written.get(reader, ())
            if len(written) != 1:
                break
            each = written[0]
        return reader

    def _later_readers(self, each: FeatureMap) -> Sequence[str]:
        later = [name for name in each.readers if self._step_of[name] > self._step]
        return sorted(later, key=self._step_of.__getitem__)

    def _reachable(self, start: Collection[str]) -> Mapping[str, str]:
        """Return the operators that depend on some, each with the map through which it does."""
        found: dict[str, str] = {}
        queue = deque(start)
        while queue:
            for each in self._written.get(queue.popleft(), ()):
                for reader in each.readers:
                    if reader not in found:
                        found[reader] = each.tensor
                        queue.extend(self._plan.steps[self._step_of[reader]].operators)
        return found


_REASONS: Mapping[Role, Callable[[_Adviser, FeatureMap], str]] = {
    Role.READ: _Adviser.on_read,
    Role.WRITTEN: _Adviser.on_written,
    Role.WAITING: _Adviser.on_waiting,
}


def explanation_text(explanation: Explanation) -> str:
    """Return an explanation as a person reads it."""
    why = explanation
    steps = ", ".join(map(str, why.peak_steps))
    lines = [
        f"peak: {why.peak_bytes:,} bytes at step {steps}; elsewhere {why.next_peak_bytes:,}",
        f"step {why.step} runs {' + '.join(why.ops)} {' + '.join(why.operators)}",
        "alive there:",
    ]
    for each in why.alive:
        needed = ["output of the network"] if each.kept else []
        needed += [*each.needed_by[:2], *(["..."] if len(each.needed_by) > 2 else [])]
        lines.append(f"  {each.size:>13,}  {each.role:<11}  {each.tensor}")
        lines.append(f"  {'':>13}  needed by {', '.join(needed) or 'nobody'}")
        lines.append(f"  {'':>13}  without it the peak would be {each.peak_without:,}")
    lines.append("to go lower:")
    lines += [f"  - {line}" for line in why.advice]
    lines.append(
        f"  - No order can go below {why.largest_working_set_bytes:,} bytes, which "
        f"{why.largest_working_set_operator} alone reads and writes."
    )
    return "\n".join(lines)
