"""From an order to a place for every feature map."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from condense_compiler.memory.buffers import Plan
from condense_compiler.memory.layout import CannotAccumulateError, Layout, lay_out
from condense_compiler.memory.lifetimes import Steps
from condense_compiler.memory.overwriting import Options, find_options
from condense_compiler.memory.placement_check import check_placement
from condense_compiler.memory.sharing import Sharing
from condense_compiler.memory.storages import (
    QUICK,
    THOROUGH,
    Storage,
    largest_load,
    plan_storages,
)
from condense_compiler.operators.byte_moves import moves_of, order_of_moves

# Results overwrite only where the load would exceed this share of the bound otherwise. Few ties
# make placing easy, many ties leave less to place: which is better differs.
_SHARES = (1.0, 0.75, 0.5, 0.0)


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
        releases: Moving operators give up old places while they take new ones.
    """

    steps: Steps
    storages: tuple[Storage, ...]
    plan: Plan
    offsets: Mapping[str, int]
    storage_of: Mapping[str, str]
    overwritten: Mapping[str, str]
    releases: bool = True


def place(
    sharing: Sharing,
    steps: Steps,
    seconds: float | None = None,
    *,
    quick: bool = False,
    overwrite: bool = True,
) -> Placement:
    """Place the feature maps of an ordered network in the smallest arena that can be found.

    The order is kept, but for pairs that turn out not to be able to accumulate: they run apart.

    Args:
        sharing: What the network stores.
        steps: The order.
        seconds: Search until the arena is proved to be the smallest, but no longer than this.
        quick: Try few plans and check none, to compare choices.
        overwrite: Results may take the place of inputs.
    """
    options = find_options(sharing) if overwrite else Options({}, {})
    efforts = (QUICK,) if quick else (QUICK, THOROUGH)
    best = _place(sharing, options, steps, seconds, efforts)
    if _is_tangled(sharing, best):
        # Moves that wait for each other: old and new places must lie apart.
        sharing = replace(sharing, releasing=frozenset())
        apart = _place(sharing, options, steps, seconds, efforts)
        best = replace(apart, releases=False)
    if not quick:
        check_placement(sharing, best.steps, best.offsets, best.plan.arena_bytes)
    return best


def _place(
    sharing: Sharing,
    options: Options,
    steps: Steps,
    seconds: float | None,
    efforts: tuple[int, ...],
) -> Placement:
    steps, tied = _lay_out_with_pairs(sharing, options, steps)
    bound = largest_load(tied.storages)
    layouts = {0.0: tied}
    best: Placement | None = None
    for tries in efforts:
        for share in _SHARES:
            if share not in layouts:
                layouts[share] = lay_out(sharing, options, steps, int(bound * share))
            layout = layouts[share]
            planned = plan_storages(layout.storages, tries=tries, seconds=seconds)
            if best is None or planned.arena_bytes < best.plan.arena_bytes:
                best = _placed(steps, layout, planned)
            if best.plan.arena_bytes <= bound:
                return best
    assert best is not None
    return best


def _is_tangled(sharing: Sharing, placement: Placement) -> bool:
    """Tell whether a concatenation cannot move its parts one by one without losing some."""
    return any(
        order_of_moves(moves_of(sharing.order[number], placement.offsets)) is None
        for number in sharing.releasing
    )


def _lay_out_with_pairs(sharing: Sharing, options: Options, steps: Steps) -> tuple[Steps, Layout]:
    """Lay out with all ties; pairs that cannot accumulate run apart."""
    while True:
        try:
            return steps, lay_out(sharing, options, steps)
        except CannotAccumulateError as error:
            apart = [(operator,) for operator in error.pair]
            steps = [s for step in steps for s in (apart if step == error.pair else [step])]


def _placed(steps: Steps, layout: Layout, plan: Plan) -> Placement:
    offsets = {
        tensor: plan.offsets[storage] + offset
        for tensor, (storage, offset) in layout.places.items()
    }
    storage_of = {tensor: storage for tensor, (storage, _) in layout.places.items()}
    return Placement(steps, layout.storages, plan, offsets, storage_of, layout.overwritten)
