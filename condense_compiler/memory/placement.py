"""From an order to a place for every feature map."""

from collections.abc import Mapping
from dataclasses import dataclass

from condense_compiler.memory.buffers import Plan
from condense_compiler.memory.layout import CannotAccumulateError, Layout, Steps, lay_out
from condense_compiler.memory.placement_check import check_placement
from condense_compiler.memory.sharing import Sharing
from condense_compiler.memory.storages import Storage, largest_load, plan_storages


@dataclass(frozen=True, slots=True)
class Placement:
    """Where everything lies, and what runs when.

    Attributes:
        steps: Operators by their position in the order of the file, in the order in which they
            run; two where one accumulates into what the other adds it to.
        storages: What was placed.
        plan: Where, by storage.
        offsets: Offset of each feature map in the arena, in bytes, by name.
        storage_of: Name of the storage that holds each feature map, by name.
        overwritten: Inputs whose place was taken, by the name of the tensor that took it.
    """

    steps: Steps
    storages: tuple[Storage, ...]
    plan: Plan
    offsets: Mapping[str, int]
    storage_of: Mapping[str, str]
    overwritten: Mapping[str, str]


def place(sharing: Sharing, steps: Steps, seconds: float | None = None) -> Placement:
    """Place the feature maps of an ordered network in the smallest arena that can be found.

    The order is kept, but for pairs that turn out not to be able to accumulate: they run apart.
    """
    steps = _separate_impossible_pairs(sharing, steps)
    tied = lay_out(sharing, steps)
    bound = largest_load(tied.storages)
    # As few ties as the load allows make placing easy; all ties are the other extreme.
    best: Placement | None = None
    for layout in (lay_out(sharing, steps, limit_bytes=bound), tied):
        candidate = _placed(steps, layout, plan_storages(layout.storages, seconds=seconds))
        if best is None or candidate.plan.arena_bytes < best.plan.arena_bytes:
            best = candidate
        if best.plan.arena_bytes <= bound:
            break
    assert best is not None
    check_placement(sharing, best.steps, best.offsets, best.plan.arena_bytes)
    return best


def _separate_impossible_pairs(sharing: Sharing, steps: Steps) -> Steps:
    while True:
        try:
            lay_out(sharing, steps)
        except CannotAccumulateError as error:
            apart = [(operator,) for operator in error.pair]
            steps = [s for step in steps for s in (apart if step == error.pair else [step])]
        else:
            return steps


def _placed(steps: Steps, layout: Layout, plan: Plan) -> Placement:
    offsets = {
        tensor: plan.offsets[storage] + offset
        for tensor, (storage, offset) in layout.places.items()
    }
    storage_of = {tensor: storage for tensor, (storage, _) in layout.places.items()}
    return Placement(steps, layout.storages, plan, offsets, storage_of, layout.overwritten)
