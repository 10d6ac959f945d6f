"""The picture of a memory plan as plain records; every form in which it is shown reads these."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from condense_compiler.operators.definition import Kind


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """Bytes that one operator writes: one rectangle of the picture.

    Attributes:
        tensor: Name of the tensor.
        operator: Name of the operator that writes it; empty for an input of the network.
        op: Type of that operator.
        kind: What it is drawn as.
        shape: Shape of the tensor.
        dtype: Element type.
        size: Bytes.
        offset: First byte in the arena.
        first: Step that writes it.
        last: Last step that needs it.
        readers: Names of the operators that read it, also through views.
        kept: It is part of an output of the network, and so needed to the last step.
        pass_name: Pass that made its operator; empty if the operator is as given.
        storage: What is placed as a whole and holds it.
        overwrites: Tensor whose place it takes while its operator runs; empty if none.
        overwritten_by: Tensor that takes its place; empty if none.
        part_of: Concatenations that it is produced inside of.
        views: Other tensors on the same bytes.
    """

    tensor: str
    operator: str
    op: str
    kind: Kind
    shape: tuple[int, ...]
    dtype: str
    size: int
    offset: int
    first: int
    last: int
    readers: tuple[str, ...]
    kept: bool
    pass_name: str = ""
    storage: str = ""
    overwrites: str = ""
    overwritten_by: str = ""
    part_of: tuple[str, ...] = ()
    views: tuple[str, ...] = ()

    @property
    def drawn_from(self) -> float:
        """Where its rectangle starts: in the middle of the step in which it takes a place over."""
        return self.first + (0.5 if self.overwrites else 0.0)

    @property
    def drawn_to(self) -> float:
        """Where its rectangle ends."""
        return self.last + (0.5 if self.overwritten_by else 1.0)


@dataclass(frozen=True, slots=True)
class PictureStep:
    """One step of the order.

    Attributes:
        operators: Names of what runs; two where one accumulates into the other.
        ops: Their types.
        kind: What the last one's results are drawn as.
        load: Bytes alive.
    """

    operators: tuple[str, ...]
    ops: tuple[str, ...]
    kind: Kind
    load: int


@dataclass(frozen=True)
class PlanPicture:
    """A plan: what lies where, and when.

    Attributes:
        arena_bytes: Size of the arena.
        lower_bound_bytes: No plan for this order can have a smaller one.
        optimal: The arena is proved to be the smallest for the order.
        order_optimal: It is proved to be the smallest for any order of the operators; never told
            of the network as given, for which no other order is looked for.
        maps: The feature maps, in the order in which they are written.
        steps: What runs.
    """

    arena_bytes: int
    lower_bound_bytes: int
    optimal: bool
    order_optimal: bool
    maps: tuple[FeatureMap, ...]
    steps: tuple[PictureStep, ...]

    @cached_property
    def peak_bytes(self) -> int:
        """The largest load."""
        return max((step.load for step in self.steps), default=0)

    @cached_property
    def peak_steps(self) -> tuple[int, ...]:
        """The steps with the largest load."""
        return tuple(n for n, step in enumerate(self.steps) if step.load == self.peak_bytes)

    def alive_at(self, step: int) -> tuple[FeatureMap, ...]:
        """Return the maps that are needed at a step, the lowest in the arena first."""
        alive = [each for each in self.maps if each.first <= step <= each.last]
        return tuple(sorted(alive, key=lambda each: (each.offset, each.first, each.tensor)))


@dataclass(frozen=True, slots=True)
class GoneMap:
    """A feature map of the network as given that is stored nowhere any more.

    Its ghost is drawn at the operator that now computes what the map was needed for, on top of
    what is stored there: as high as the arena would have to be.

    Attributes:
        tensor: Name of the tensor.
        op: Type of the operator that wrote it.
        shape: Its shape.
        dtype: Its element type.
        size: Bytes.
        operator: The operator of the compiled network; empty if that cannot be told.
        pass_name: Pass that made that operator; empty if it is as given.
        drawn_from: Where the ghost starts, in steps of the compiled network; None if nowhere.
        drawn_to: Where the ghost ends.
        offset: Its lower edge.
    """

    tensor: str
    op: str
    shape: tuple[int, ...]
    dtype: str
    size: int
    operator: str = ""
    pass_name: str = ""
    drawn_from: float | None = None
    drawn_to: float | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """The plans of a network as given and compiled, on one scale.

    Attributes:
        model: Name of the network.
        before: Every feature map stored, operators in the order of the file.
        after: The compiled network.
        gone: Maps of `before` that `after` has no bytes for.
    """

    model: str
    before: PlanPicture
    after: PlanPicture
    gone: tuple[GoneMap, ...]

    @property
    def sides(self) -> Mapping[str, PlanPicture]:
        """Both plans, by name."""
        return {"before": self.before, "after": self.after}

    @property
    def top_bytes(self) -> int:
        """The height of both plans, ghosts included."""
        ghosts = (ghost.offset + ghost.size for ghost in self.gone)
        return max(self.before.arena_bytes, self.after.arena_bytes, *ghosts, 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the picture as it stands in picture.json."""
        sides = {name: _plan_to_dict(plan) for name, plan in self.sides.items()}
        return {"model": self.model, **sides, "gone": [_to_dict(ghost) for ghost in self.gone]}

    @classmethod
    def from_dict(cls, content: Any) -> "Picture":
        """Return the picture that `to_dict` wrote.

        Raises:
            ValueError: It is something else; the message says where.
        """
        from condense_compiler.report.picture_reading import picture_of  # noqa: PLC0415 - reads this

        return picture_of(content)


def _plan_to_dict(plan: PlanPicture) -> dict[str, Any]:
    return {
        "arena_bytes": plan.arena_bytes,
        "lower_bound_bytes": plan.lower_bound_bytes,
        "optimal": plan.optimal,
        "order_optimal": plan.order_optimal,
        "peak_bytes": plan.peak_bytes,
        "peak_steps": list(plan.peak_steps),
        "maps": [_to_dict(each) for each in plan.maps],
        "steps": [_to_dict(step) for step in plan.steps],
    }


def _to_dict(record: FeatureMap | GoneMap | PictureStep) -> dict[str, Any]:
    values = {entry.name: getattr(record, entry.name) for entry in fields(record)}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
