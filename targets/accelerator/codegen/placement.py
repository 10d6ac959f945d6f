"""Which feature maps stay on the chip, and where everything lies."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from condense_compiler.errors import UnsupportedError
from condense_compiler.memory.buffers import Buffer, Plan
from condense_compiler.memory.planner import plan
from condense_compiler.targets.accelerator.codegen.tiling import (
    Away,
    Tiling,
    Work,
    tilings,
    work_of,
)
from condense_compiler.targets.accelerator.integer.network import IntegerNetwork, Map, Operator
from condense_compiler.targets.accelerator.machine import Machine

EXACT_MAPS = 12  # with so many maps, every choice is tried
SEARCH_SECONDS = 3.0
ALIGNMENT_BYTES = 16


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Where everything lies.

    Attributes:
        work: Each operator, cut into blocks.
        tilings: How each operator runs.
        chip: Address of each map that stays on the chip.
        dram: Address of each map in DRAM; graph inputs and outputs have one in any case.
        staging: Address of the stripes of each operator.
        chip_bytes: On-chip memory used.
        dram_bytes: DRAM used for feature maps.
        optimal: No other choice of maps has less traffic, as the tilings count it.
    """

    work: tuple[Work, ...]
    tilings: tuple[Tiling, ...]
    chip: Mapping[Map, int]
    dram: Mapping[Map, int]
    staging: tuple[int, ...]
    chip_bytes: int
    dram_bytes: int
    optimal: bool


def lifetimes(network: IntegerNetwork) -> dict[Map, tuple[int, int]]:
    """Return the half-open steps during which each map that owns memory is alive."""
    alive: dict[Map, tuple[int, int]] = {}
    last = len(network.operators)
    for port in network.inputs.values():
        alive[port.map.root()[0]] = (0, 1)
    for step, operator in enumerate(network.operators):
        for used in (*operator.inputs, operator.output):
            root = used.root()[0]
            alive[root] = (alive.get(root, (step, 0))[0], step + 1)
    for port in network.outputs.values():
        root = port.map.root()[0]
        alive[root] = (alive.get(root, (0, 0))[0], max(last, 1))
    return alive


def place(network: IntegerNetwork, machine: Machine, *, all_in_dram: bool = False) -> MemoryPlan:
    """Choose what stays on the chip so that traffic is least, and give everything an address.

    Raises:
        UnsupportedError: An operator does not fit even with all its maps in DRAM.
    """
    search = _Search(network, machine)
    if all_in_dram:
        return search.finish(search.evaluate(frozenset()), optimal=True)
    return search.run()


@dataclass(frozen=True, slots=True)
class _Choice:
    resident: frozenset[Map]
    tilings: tuple[Tiling, ...]
    traffic_bytes: int


@dataclass(slots=True)
class _Search:
    network: IntegerNetwork
    machine: Machine
    work: list[Work] = field(init=False)
    alive: dict[Map, tuple[int, int]] = field(init=False)
    _options: dict[tuple[int, Away], list[Tiling]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.work = [work_of(operator, self.machine) for operator in self.network.operators]
        self.alive = lifetimes(self.network)

    def run(self) -> MemoryPlan:
        """Try every set of maps if there are few; otherwise improve a first one."""
        whole = self._feasible(frozenset(self.alive))
        if whole is not None:
            return self.finish(whole, optimal=True)
        if len(self.alive) <= EXACT_MAPS:
            return self.finish(self._best_of_all(), optimal=True)
        return self.finish(self._improve(), optimal=False)

    def _best_of_all(self) -> _Choice:
        maps = list(self.alive)
        choices = []
        for bits in range(1 << len(maps)):
            resident = frozenset(m for i, m in enumerate(maps) if bits >> i & 1)
            choice = self._evaluate_or_none(resident)
            if choice is not None:
                choices.append(choice)
        choices.sort(key=lambda choice: choice.traffic_bytes)
        for choice in choices:
            if self._fits(choice):
                return choice
        return self.evaluate(frozenset())

    def _improve(self) -> _Choice:
        deadline = time.monotonic() + SEARCH_SECONDS
        best = self.evaluate(frozenset())
        order = sorted(self.alive, key=self._density, reverse=True)
        changed = True
        while changed and time.monotonic() < deadline:
            changed = False
            for candidate in order:
                if time.monotonic() > deadline:
                    break
                choice = self._feasible(best.resident ^ {candidate}, best.traffic_bytes)
                if choice is not None:
                    best, changed = choice, True
        return best

    def _density(self, candidate: Map) -> float:
        lower, upper = self.alive[candidate]
        return 1.0 / (candidate.size_bytes * (upper - lower) + 1)

    def _feasible(self, resident: frozenset[Map], below_bytes: int | None = None) -> _Choice | None:
        choice = self._evaluate_or_none(resident)
        if choice is None or (below_bytes is not None and choice.traffic_bytes >= below_bytes):
            return None
        return choice if self._fits(choice) else None

    def _evaluate_or_none(self, resident: frozenset[Map]) -> _Choice | None:
        try:
            return self.evaluate(resident)
        except UnsupportedError:
            return None

    def evaluate(self, resident: frozenset[Map]) -> _Choice:
        """Choose a tiling for each operator.

        Raises:
            UnsupportedError: An operator does not fit beside the maps that stay on the chip.
        """
        load = [0] * len(self.work)
        for root in resident:
            for step in range(*self.alive[root]):
                if step < len(load):
                    load[step] += root.size_bytes
        chosen = []
        for step, work in enumerate(self.work):
            free = self.machine.feature_map_bytes - load[step]
            options = self._tilings(step, _away(work.operator, resident))
            fitting = next((t for t in options if t.staging_bytes <= free), None)
            if fitting is None or free < 0:
                least = min(t.staging_bytes for t in options)
                raise UnsupportedError(
                    f"{work.operator.name}: needs {least:,} bytes of feature-map memory, "
                    f"{max(free, 0):,} are left"
                )
            chosen.append(fitting)
        ports = [*self.network.inputs.values(), *self.network.outputs.values()]
        moved = sum(port.map.size_bytes for port in ports if port.map.root()[0] in resident)
        traffic = moved + sum(tiling.traffic_bytes for tiling in chosen)
        return _Choice(resident, tuple(chosen), traffic)

    def _tilings(self, step: int, away: Away) -> list[Tiling]:
        key = (step, away)
        if key not in self._options:
            self._options[key] = tilings(self.work[step], away, self.machine)
        return self._options[key]

    def _fits(self, choice: _Choice) -> bool:
        return self._chip_plan(choice)[0].arena_bytes <= self.machine.feature_map_bytes

    def _chip_plan(self, choice: _Choice) -> tuple[Plan, dict[Map, str]]:
        names = {root: f"map{i}" for i, root in enumerate(self.alive) if root in choice.resident}
        buffers = [
            Buffer(name, *self.alive[root], max(root.size_bytes, 1), ALIGNMENT_BYTES)
            for root, name in names.items()
        ]
        buffers += [
            Buffer(f"staging{step}", step, step + 1, tiling.staging_bytes, ALIGNMENT_BYTES)
            for step, tiling in enumerate(choice.tilings)
            if tiling.staging_bytes
        ]
        return plan(buffers, capacity=self.machine.feature_map_bytes), names

    def finish(self, choice: _Choice, *, optimal: bool) -> MemoryPlan:
        """Give everything an address."""
        chip_plan, names = self._chip_plan(choice)
        dram, dram_bytes = self._dram(choice.resident)
        steps = range(len(choice.tilings))
        return MemoryPlan(
            work=tuple(self.work),
            tilings=choice.tilings,
            chip={root: chip_plan.offsets[name] for root, name in names.items()},
            dram=dram,
            staging=tuple(chip_plan.offsets.get(f"staging{step}", 0) for step in steps),
            chip_bytes=chip_plan.arena_bytes,
            dram_bytes=dram_bytes,
            optimal=optimal,
        )

    def _dram(self, resident: frozenset[Map]) -> tuple[dict[Map, int], int]:
        """Place what is in DRAM; inputs and outputs of the network keep their places throughout."""
        ports = [*self.network.inputs.values(), *self.network.outputs.values()]
        fixed = {port.map.root()[0] for port in ports}
        stored = [root for root in self.alive if root in fixed or root not in resident]
        last = max(len(self.work), 1)
        buffers = [
            Buffer(
                f"map{index}",
                *((0, last) if root in fixed else self.alive[root]),
                root.size_bytes,
                self.machine.burst_bytes,
            )
            for index, root in enumerate(stored)
        ]
        planned = plan(buffers)
        places = {root: planned.offsets[f"map{index}"] for index, root in enumerate(stored)}
        return places, planned.arena_bytes


def _away(operator: Operator, resident: frozenset[Map]) -> Away:
    inputs = tuple(source.root()[0] not in resident for source in operator.inputs)
    return Away(inputs, operator.output.root()[0] not in resident)
