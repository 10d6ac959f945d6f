"""Which feature maps stay on the chip, and where everything lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from condense_compiler.memory.buffers import Buffer, Plan
from condense_compiler.memory.planner import plan
from condense_compiler.targets.accelerator.codegen.chip import (
    ALIGNMENT_BYTES,
    Chip,
    map_name,
    staging_name,
)
from condense_compiler.targets.accelerator.codegen.in_place import overwriting
from condense_compiler.targets.accelerator.codegen.residency import (
    Candidate,
    Choice,
    Option,
    Problem,
    cheapest,
    cheapest_with,
)
from condense_compiler.targets.accelerator.codegen.tiling import (
    Away,
    Tiling,
    Work,
    align,
    tilings,
    work_of,
)
from condense_compiler.targets.accelerator.integer.network import (
    IntegerNetwork,
    Map,
    Operator,
    Port,
)
from condense_compiler.targets.accelerator.integer.refusals import OperatorError
from condense_compiler.targets.accelerator.machine import Machine

_TRAFFIC_UNIT = 1 << 48  # of costs: cycles decide only between choices of equal traffic


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
        chip_bound_bytes: No plan of what is on the chip uses less.
        dram_bytes: DRAM used for feature maps.
        optimal: No other choice of maps and stripes has less traffic, as the tilings count it.
    """

    work: tuple[Work, ...]
    tilings: tuple[Tiling, ...]
    chip: Mapping[Map, int]
    dram: Mapping[Map, int]
    staging: tuple[int, ...]
    chip_bytes: int
    chip_bound_bytes: int
    dram_bytes: int
    optimal: bool

    @property
    def maps(self) -> list[Map]:
        """All maps that own memory."""
        return list(dict.fromkeys((*self.chip, *self.dram)))


def lifetimes(network: IntegerNetwork) -> dict[Map, tuple[int, int]]:
    """Return the half-open steps during which each map that operators use is alive on the chip.

    Graph inputs are brought there for the first step that reads them; graph outputs leave it when
    they are complete.
    """
    alive: dict[Map, tuple[int, int]] = {}
    for step, operator in enumerate(network.operators):
        for used in (*operator.inputs, operator.output):
            root = used.root()[0]
            alive[root] = (alive.get(root, (step, 0))[0], step + 1)
    return alive


def moved_ports(network: IntegerNetwork, root: Map) -> list[Port]:
    """Return the graph inputs and outputs that are moved if a map is on the chip.

    An output that is an input, too, is where it belongs already.
    """
    inputs = [port for port in network.inputs.values() if port.map.root()[0] is root]
    outputs = [port for port in network.outputs.values() if port.map.root()[0] is root]
    return inputs or outputs


def place(
    network: IntegerNetwork,
    machine: Machine,
    *,
    memory_limit_bytes: int | None = None,
    all_in_dram: bool = False,
) -> MemoryPlan:
    """Choose what stays on the chip so that traffic is least, and give everything an address.

    Args:
        network: The network.
        machine: The machine.
        memory_limit_bytes: Use no more of its feature-map memory than this; where that is too
            little even for stripes, what the operators need with all their maps in DRAM.
        all_in_dram: Keep no map on the chip.

    Raises:
        OperatorError: An operator does not fit even with all its maps in DRAM.
    """
    return _Placer(network, machine, memory_limit_bytes).place(all_in_dram=all_in_dram)


def check_operators_fit(network: IntegerNetwork, machine: Machine) -> None:
    """Refuse a network with an operator that does not fit, even with all its maps in DRAM.

    Raises:
        OperatorError: One does not.
    """
    for operator in network.operators:
        away = Away(tuple(True for _ in operator.inputs), True)
        smallest = tilings(work_of(operator, machine), away, machine)[-1]
        _check_fits(operator, smallest.staging_bytes, machine)


def _check_fits(operator: Operator, staging_bytes: int, machine: Machine) -> None:
    if staging_bytes > machine.feature_map_bytes:
        raise OperatorError(
            operator.name,
            f"needs {staging_bytes:,} bytes of feature-map memory, the machine has "
            f"{machine.feature_map_bytes:,}",
        )


@dataclass(slots=True)
class _Placer:
    network: IntegerNetwork
    machine: Machine
    memory_limit_bytes: int | None
    work: list[Work] = field(init=False)
    alive: dict[Map, tuple[int, int]] = field(init=False)
    _numbers: dict[Map, int] = field(init=False)
    _tilings: dict[tuple[int, Away], list[Tiling]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.work = [work_of(operator, self.machine) for operator in self.network.operators]
        self.alive = lifetimes(self.network)
        self._numbers = {root: number for number, root in enumerate(self.alive)}

    def place(self, *, all_in_dram: bool) -> MemoryPlan:
        """Keep everything on the chip if it fits; otherwise what makes traffic least."""
        memory, limit = self.machine.feature_map_bytes, self.memory_limit_bytes
        found = self._place_in(memory if limit is None else min(memory, limit), all_in_dram)
        if found is None:
            found = self._place_in(self._stripes_bytes(), all_in_dram)
        assert found is not None
        return found

    def _place_in(self, memory_bytes: int, all_in_dram: bool) -> MemoryPlan | None:
        """Return the best plan for so much memory; None if not even stripes fit."""
        problem = self._problem(memory_bytes // ALIGNMENT_BYTES * ALIGNMENT_BYTES)
        chip = Chip(problem)
        if all_in_dram:
            nothing = cheapest_with(problem, frozenset())
            if nothing is None:
                return None
            return self._finish(chip, nothing, chip.smallest_plan(nothing), optimal=True)
        everything = cheapest_with(problem, frozenset(range(len(problem.maps))))
        assert everything is not None  # there are no stripes
        planned = chip.smallest_plan(everything)
        if planned.arena_bytes <= problem.capacity_bytes:
            return self._finish(chip, everything, planned, optimal=True)
        found = cheapest(problem, chip.conflict)
        if found is None:
            return None
        return self._finish(chip, found.choice, chip.plan(found.choice), optimal=found.optimal)

    def _stripes_bytes(self) -> int:
        """Return the memory that the operators need with all their maps in DRAM."""
        least = 0
        for step, work in enumerate(self.work):
            needed = self._options(step, frozenset())[-1].staging_bytes
            _check_fits(work.operator, needed, self.machine)
            least = max(least, needed)
        return least

    def _problem(self, capacity_bytes: int) -> Problem:
        return Problem(
            maps=[self._candidate(root) for root in self.alive],
            own=[
                frozenset(
                    self._numbers[used.root()[0]] for used in (*operator.inputs, operator.output)
                )
                for operator in self.network.operators
            ],
            options=self._options,
            capacity_bytes=capacity_bytes,
            overwriting={
                step: (self._numbers[source], self._numbers[result])
                for step, (source, result) in overwriting(self.network, self.alive).items()
            },
        )

    def _candidate(self, root: Map) -> Candidate:
        moved = sum(port.map.size_bytes for port in moved_ports(self.network, root))
        cycles = moved // self.machine.dram_bytes_per_cycle
        size = align(max(root.size_bytes, 1), ALIGNMENT_BYTES)
        return Candidate(*self.alive[root], size, moved * _TRAFFIC_UNIT + cycles)

    def _options(self, step: int, resident: frozenset[int]) -> Sequence[Option]:
        found = self._ways(step, resident)
        return [
            Option(
                number,
                align(tiling.staging_bytes, ALIGNMENT_BYTES),
                tiling.traffic_bytes * _TRAFFIC_UNIT + tiling.cycles,
            )
            for number, tiling in enumerate(found)
        ]

    def _ways(self, step: int, resident: frozenset[int]) -> list[Tiling]:
        operator = self.work[step].operator
        away = Away(
            tuple(self._numbers[source.root()[0]] not in resident for source in operator.inputs),
            self._numbers[operator.output.root()[0]] not in resident,
        )
        if (step, away) not in self._tilings:
            self._tilings[step, away] = tilings(self.work[step], away, self.machine)
        return self._tilings[step, away]

    def _finish(self, chip: Chip, choice: Choice, planned: Plan, *, optimal: bool) -> MemoryPlan:
        """Give everything an address."""
        roots, places = list(self.alive), chip.places(choice, planned)
        dram, dram_bytes = self._dram([roots[number] for number in places])
        ways = (self._ways(step, choice.resident) for step in range(len(self.work)))
        return MemoryPlan(
            work=tuple(self.work),
            tilings=tuple(w[o.number] for w, o in zip(ways, choice.options, strict=True)),
            chip={roots[number]: place for number, place in sorted(places.items())},
            dram=dram,
            staging=tuple(
                planned.offsets.get(staging_name(step), 0) for step in range(len(self.work))
            ),
            chip_bytes=planned.arena_bytes,
            chip_bound_bytes=planned.lower_bound_bytes,
            dram_bytes=dram_bytes,
            optimal=optimal,
        )

    def _dram(self, resident: Sequence[Map]) -> tuple[dict[Map, int], int]:
        """Place what is in DRAM; inputs and outputs of the network keep their places throughout."""
        ports = [*self.network.inputs.values(), *self.network.outputs.values()]
        whole = (0, max(len(self.work), 1))
        lives = {root: life for root, life in self.alive.items() if root not in resident}
        lives |= {port.map.root()[0]: whole for port in ports}
        buffers = [
            Buffer(map_name(number), *life, root.size_bytes, self.machine.burst_bytes)
            for number, (root, life) in enumerate(lives.items())
        ]
        planned = plan(buffers)
        places = {root: planned.offsets[map_name(n)] for n, root in enumerate(lives)}
        return places, planned.arena_bytes
