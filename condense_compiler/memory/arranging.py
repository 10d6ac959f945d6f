"""What shares memory, what runs when, what lies where: chosen together.

Sharing whatever can share, in the best order, is nearly always best. Where the arena then exceeds
what is proved to be needed, parts of concatenations that stand in the way are taken out: they lie
anywhere and are moved into the concatenation when it runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from condense_compiler.memory.lifetimes import Steps
from condense_compiler.memory.order import Order, file_order
from condense_compiler.memory.order_first import Relaxed, best_orders, sharing_in_order
from condense_compiler.memory.placement import Placement, place
from condense_compiler.memory.placement_check import check_placement
from condense_compiler.memory.relaxation import relaxed_problem
from condense_compiler.memory.scheduler import find_order
from condense_compiler.memory.scheduling import Schedule, schedule
from condense_compiler.memory.sharing import Shared, Sharing, resolve_sharing
from condense_compiler.network import Network
from condense_compiler.network.tensors import type_alignment

# Orders and plans that are looked at in the search for what to take out, in networks of up to so
# many operators; fewer in larger ones.
_MOST_ORDERS = 120
_MOST_PLANS = 40
_UNRESTRICTED = 200
_NO_EXCESS = (0, 0)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A network as far as the plan.

    Attributes:
        sharing: What shares memory.
        scheduled: The order, and what no order and no sharing can go below.
        placement: Where everything lies.
        apart: What was given memory of its own.
        aim_bytes: The arena at which the search ends.
    """

    sharing: Sharing
    scheduled: Schedule
    placement: Placement
    apart: frozenset[Shared] = frozenset()
    aim_bytes: int = 0

    @property
    def arena_bytes(self) -> int:
        """Size of the arena."""
        return self.placement.plan.arena_bytes


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to search.

    Attributes:
        order_seconds: For an order; without it the effort is fixed.
        plan_seconds: For a plan; without it the effort is fixed.
        order_alone: The order is wanted; the feature maps will lie elsewhere.
        searches: Parts are taken out of concatenations as long as the arena becomes smaller.
    """

    order_seconds: float | None = None
    plan_seconds: float | None = None
    order_alone: bool = False
    searches: bool = True


def arrange(network: Network, effort: Effort) -> Arrangement:
    """Find the smallest arena.

    Args:
        network: The network.
        effort: How long to search.
    """
    order = file_order(network)
    best = _attempt(network, order, frozenset(), effort, quick=effort.order_alone)
    if effort.order_alone:
        found = best.placement
        check_placement(best.sharing, found.steps, found.offsets, found.plan.arena_bytes)
        return replace(best, aim_bytes=best.arena_bytes)
    bound, relaxed = best.scheduled.lower_bound_bytes, None
    if any(shared.is_part for shared in best.sharing.shared) or best.sharing.copies:
        relaxed = _relaxed(network, order, best.scheduled, effort)
        bound = relaxed.found.lower_bound_bytes if relaxed is not None else 0
    aim = (bound or best.scheduled.lower_bound_bytes) + _padding_bytes(best.sharing)
    if best.arena_bytes > aim:
        tidy = _attempt(network, order, frozenset(), effort, tidy=True)
        best = min((best, tidy), key=lambda found: found.arena_bytes)
    if best.arena_bytes > aim and relaxed is not None and effort.searches:
        for steps in best_orders(relaxed, order, effort.order_seconds):
            ordered = _attempt_in_order(network, order, steps, effort)
            best = min((best, ordered), key=lambda found: found.arena_bytes)
            if best.arena_bytes <= aim:
                break
    if best.arena_bytes > aim and effort.searches:
        best = _Search(network, order, aim, best).run()
    scheduled = replace(best.scheduled, lower_bound_bytes=bound)
    return replace(best, scheduled=scheduled, aim_bytes=aim)


def _padding_bytes(sharing: Sharing) -> int:
    """Return what alignment alone may put between an arena and its bound: no reason to search."""
    return max(map(type_alignment, sharing.tensors.values()), default=1) - 1


def arrange_plainly(network: Network, effort: Effort) -> Arrangement:
    """Find the smallest arena for the order of the file, with all sharing, less of it, and none."""
    return min(_plain_attempts(network, file_order(network), effort), key=lambda f: f.arena_bytes)


def _attempt(
    network: Network,
    order: Order,
    apart: frozenset[Shared],
    effort: Effort,
    *,
    tidy: bool = False,
    quick: bool = False,
) -> Arrangement:
    sharing = resolve_sharing(network, order, apart)
    scheduled = schedule(sharing, effort.order_seconds, tidy=tidy)
    placement = place(sharing, scheduled.steps, effort.plan_seconds, quick=quick)
    return _arranged(sharing, scheduled, placement, apart)


def _arranged(
    sharing: Sharing, scheduled: Schedule, placement: Placement, apart: frozenset[Shared]
) -> Arrangement:
    if not placement.releases:
        sharing = replace(sharing, releasing=frozenset())
    return Arrangement(sharing, scheduled, placement, apart)


def _relaxed(network: Network, order: Order, found: Schedule, effort: Effort) -> Relaxed | None:
    """Return what no order and no sharing can go below; None if that is not known."""
    problem = relaxed_problem(network, order)
    if problem is None or found.peak_bytes > found.lower_bound_bytes:
        return None
    return Relaxed(problem, find_order(problem, effort.order_seconds))


def _attempt_in_order(network: Network, order: Order, steps: Steps, effort: Effort) -> Arrangement:
    """Share what can be shared in one order of the operators."""
    sharing, busy = sharing_in_order(network, order, steps)
    placement = place(sharing, busy, effort.plan_seconds)
    peak_bytes = placement.plan.lower_bound_bytes
    return _arranged(sharing, Schedule(busy, peak_bytes, 0), placement, frozenset())


def _plain_attempts(network: Network, order: Order, effort: Effort) -> Iterator[Arrangement]:
    """Yield what keeps the order of the file: with all sharing, with views alone, with none."""
    shared = resolve_sharing(network, order).shared
    parts = frozenset(each for each in shared if each.is_part)
    for apart, overwrite in ((frozenset(), True), (parts, True), (frozenset(shared), False)):
        sharing = resolve_sharing(network, order, apart)
        if not overwrite:
            sharing = replace(sharing, releasing=frozenset())
        steps: Steps = [(n,) for n in range(len(order)) if n not in sharing.idle]
        placement = place(sharing, steps, effort.plan_seconds, overwrite=overwrite)
        peak_bytes = placement.plan.lower_bound_bytes
        yield _arranged(sharing, Schedule(steps, peak_bytes, 0), placement, apart)


class _Search:
    """Takes parts out of concatenations as long as the arena becomes smaller."""

    def __init__(self, network: Network, order: Order, bound: int, best: Arrangement) -> None:
        self._network = network
        self._order = order
        self._bound = bound
        self._least_peak = best.scheduled.peak_bytes
        self._best = best
        self._start = best
        self._met: set[frozenset[Shared]] = set()
        self._scale = min(1.0, _UNRESTRICTED / (len(order) + 1))

    def run(self) -> Arrangement:
        """Return the smallest arrangement found, the one started from if there is none smaller."""
        origin = self._lower_peak()
        for found in (origin, self._start):
            if found is not None and self._is_open():
                self._descend(found)
        if self._best.apart == self._start.apart:
            return self._best
        self._put_back()
        thorough = _attempt(self._network, self._order, self._best.apart, Effort(), tidy=True)
        return min((thorough, self._best), key=lambda found: found.arena_bytes)

    def _is_open(self) -> bool:
        """Tell whether things do not yet fit the least peak that was found."""
        return self._best.arena_bytes > self._least_peak

    def _lower_peak(self) -> Arrangement | None:
        """Take out what makes the loads of the best order smaller, wherever things then lie."""
        apart, tries = self._start.apart, round(_MOST_ORDERS * self._scale)
        sharing = self._start.sharing
        least = self._excess(schedule(sharing, tidy=True))
        better = True
        while better and least > _NO_EXCESS:
            better = False
            for taken in _all_parts(sharing):
                tries -= 1
                if tries < 0:
                    break
                candidate = resolve_sharing(self._network, self._order, apart | taken)
                excess = self._excess(schedule(candidate, tidy=True))
                if excess < least:
                    sharing, least, apart, better = candidate, excess, apart | taken, True
                    break
        self._least_peak = self._bound + least[0]
        return self._try(apart) if apart != self._start.apart else None

    def _excess(self, scheduled: Schedule) -> tuple[int, int]:
        """Return by how much the peak, and all loads together, exceed the bound."""
        over = [max(load - self._bound, 0) for load in scheduled.loads]
        return max(over, default=0), sum(over)

    def _descend(self, origin: Arrangement) -> None:
        """Follow the first improvement of the arena each time, as far as that goes."""
        tries, better = round(_MOST_PLANS * self._scale), True
        while better and self._is_open():
            better = False
            for taken in _suspects(origin, self._bound):
                tries -= 1
                if tries < 0:
                    return
                found = self._try(origin.apart | taken)
                if found is not None and found.arena_bytes < origin.arena_bytes:
                    origin, better = found, True
                    break

    def _try(self, apart: frozenset[Shared]) -> Arrangement | None:
        """Return an arrangement that is new, and that could be smaller than the best."""
        if apart in self._met:
            return None
        self._met.add(apart)
        sharing = resolve_sharing(self._network, self._order, apart)
        scheduled = schedule(sharing, tidy=True)
        if scheduled.peak_bytes >= self._best.arena_bytes:
            return None
        placement = place(sharing, scheduled.steps, quick=True)
        found = _arranged(sharing, scheduled, placement, apart)
        self._best = min((self._best, found), key=lambda each: each.arena_bytes)
        return found

    def _put_back(self) -> None:
        """Put back what need not have been taken out: less is copied then."""
        best = self._best
        for shared in sorted(best.apart, key=lambda each: (each.result, each.index)):
            if len(best.apart) > 1:
                apart = best.apart - {shared}
                less = _attempt(self._network, self._order, apart, Effort(), tidy=True, quick=True)
                best = less if less.arena_bytes <= best.arena_bytes else best
        self._best = best


def _all_parts(sharing: Sharing) -> Iterator[frozenset[Shared]]:
    """Yield what might be taken out of concatenations: all of one, or a single part."""
    parts: dict[str, list[Shared]] = {}
    for shared in sharing.shared:
        if shared.is_part:
            parts.setdefault(shared.result, []).append(shared)
    for group in parts.values():
        yield frozenset(group)
    for group in parts.values():
        if len(group) > 1:
            yield from (frozenset({shared}) for shared in group)


def _suspects(found: Arrangement, bound: int) -> Iterator[frozenset[Shared]]:
    """Yield what might be taken out: parts, and whole concatenations, alive when it is tight."""
    placement = found.placement
    offsets, storages = placement.plan.offsets, placement.storages
    tight = {
        step
        for storage in storages
        for part in storage.parts
        if offsets[storage.id] + part.top > bound
        for step in range(part.lower, part.upper)
    }
    alive = {
        storage.id
        for storage in storages
        if any(part.lower <= step < part.upper for part in storage.parts for step in tight)
    }
    parts: dict[str, list[Shared]] = {}
    for shared in found.sharing.shared:
        if shared.is_part and placement.storage_of.get(shared.result) in alive:
            parts.setdefault(shared.result, []).append(shared)
    for group in parts.values():
        yield from (frozenset({shared}) for shared in group)
    for group in parts.values():
        if len(group) > 1:
            yield frozenset(group)
