"""Placement: least traffic, within the memory, the same every time."""

from dataclasses import replace
from itertools import chain, combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.integer_networks import networks

from condense_compiler.errors import InputError, UnsupportedError
from condense_compiler.memory.buffers import Buffer, Verdict
from condense_compiler.memory.planner import plan
from condense_compiler.targets.accelerator.codegen.chip import ALIGNMENT_BYTES
from condense_compiler.targets.accelerator.codegen.generate import generate
from condense_compiler.targets.accelerator.codegen.placement import MemoryPlan, lifetimes, place
from condense_compiler.targets.accelerator.codegen.tiling import Away, Tiling, align, tilings
from condense_compiler.targets.accelerator.integer.executor import execute
from condense_compiler.targets.accelerator.integer.network import (
    Binary,
    IntegerNetwork,
    Lookup,
    Map,
    Operator,
    Port,
    Table,
)
from condense_compiler.targets.accelerator.isa.maps import LookUp
from condense_compiler.targets.accelerator.isa.records import Joining
from condense_compiler.targets.accelerator.machine import read_machine
from condense_compiler.targets.accelerator.simulator.simulate import simulate

SMALL = read_machine("small")
LIMITS = (0.99, 0.5, 0.25, 0.125)


def traffic_of(network: IntegerNetwork, memory: MemoryPlan) -> int:
    return moved_by_ports(network, set(memory.chip)) + sum(
        tiling.traffic_bytes for tiling in memory.tilings
    )


def moved_by_ports(network: IntegerNetwork, resident: set[Map]) -> int:
    inputs = {port.map for port in network.inputs.values()}
    outputs = {port.map for port in network.outputs.values()} - inputs
    return sum(m.size_bytes for m in inputs | outputs if m.root()[0] in resident)


def least_traffic(network: IntegerNetwork, memory: MemoryPlan, capacity: int) -> int | None:
    """Try every set of maps with every tiling of every operator; None if nothing fits."""
    alive, best = list(lifetimes(network)), None
    every = chain.from_iterable(combinations(alive, n) for n in range(len(alive) + 1))
    for resident in map(set, every):
        lists = [tilings(work, away_of(work.operator, resident), SMALL) for work in memory.work]
        for chosen in product(*lists):
            traffic = moved_by_ports(network, resident) + sum(t.traffic_bytes for t in chosen)
            if (best is None or traffic < best) and fits(network, resident, chosen, capacity):
                best = traffic
    return best


def away_of(operator: Operator, resident: set[Map]) -> Away:
    inputs = tuple(source.root()[0] not in resident for source in operator.inputs)
    return Away(inputs, operator.output.root()[0] not in resident)


def fits(
    network: IntegerNetwork, resident: set[Map], chosen: tuple[Tiling, ...], capacity: int
) -> bool:
    """Tell whether there are places; an element-wise result lies where an operand ends."""
    alive = {m: life for m, life in lifetimes(network).items() if m in resident}
    place_of = {m: m for m in alive}
    for step, operator in enumerate(network.operators):
        result = operator.output
        if isinstance(operator, Binary | Lookup) and result in alive:
            ends = (
                m
                for m in operator.inputs
                if m.shape == result.shape and lifetimes(network)[m][1] == step + 1
            )
            source = next(ends, None)
            if source in alive:
                place_of[result] = place_of[source]
    maps = []
    for holder in set(place_of.values()):
        lives = [alive[m] for m in alive if place_of[m] is holder]
        first, last = min(f for f, _ in lives), max(u for _, u in lives)
        size = in_pieces(holder.size_bytes)
        maps.append(Buffer(holder.name, first, last, size, ALIGNMENT_BYTES))
    staging = [
        Buffer(f"staging{step}", step, step + 1, in_pieces(tiling.staging_bytes), ALIGNMENT_BYTES)
        for step, tiling in enumerate(chosen)
        if tiling.staging_bytes
    ]
    verdict = plan([*maps, *staging], capacity=capacity).verdict(capacity)
    assert verdict is not Verdict.NOT_FOUND
    return verdict is Verdict.FITS


def in_pieces(size: int) -> int:
    """Round up to the pieces in which memory is given out."""
    return align(size, ALIGNMENT_BYTES)


@settings(max_examples=60, deadline=None)
@given(networks(), st.integers(20, 700))
def test_no_other_choice_has_less_traffic(network: IntegerNetwork, limit: int) -> None:
    memory = place(network, SMALL, memory_limit_bytes=limit)
    assert memory.optimal
    expected = least_traffic(network, memory, limit // ALIGNMENT_BYTES * ALIGNMENT_BYTES)
    if expected is None:  # not even stripes fit: what all of them need
        nowhere = [tilings(w, away_of(w.operator, set()), SMALL)[-1] for w in memory.work]
        stripes = max(in_pieces(tiling.staging_bytes) for tiling in nowhere)
        assert limit < memory.chip_bytes <= stripes
        assert traffic_of(network, memory) == least_traffic(network, memory, stripes)
    else:
        assert memory.chip_bytes <= limit
        assert traffic_of(network, memory) == expected


@settings(max_examples=60, deadline=None)
@given(networks(7), st.integers(20, 900))
def test_placed_networks_compute_the_same(network: IntegerNetwork, limit: int) -> None:
    memory = place(network, SMALL, memory_limit_bytes=limit)
    code = generate(network, memory, SMALL)
    generator = np.random.default_rng(9)
    feeds = {n: generator.normal(0, 30, p.shape).astype("f4") for n, p in network.inputs.items()}
    run = simulate(code.binary, feeds)
    for name, values in execute(network, feeds).items():
        np.testing.assert_array_equal(run.outputs[name], values)
    assert run.counts.chip_bytes <= memory.chip_bytes


def many_inputs(count: int) -> IntegerNetwork:
    """Return the sum of many inputs, with an output at every fourth; one input is not used."""
    joining = Joining("max", (0.5, 0.5, 1.0), (3, 4), -128, -2, -128, 127)
    inputs = [Map(f"x{n}", (3, 5, 7), 0.5, n) for n in range(count)]
    operators, outputs, total = [], [], inputs[0]
    for number, other in enumerate(inputs[1:-1], 1):
        result = Map(f"sum{number}", (3, 5, 7), 0.5, -2)
        operators.append(Binary(result.name, (total, other), result, joining=joining))
        outputs += [result] if number % 4 == 0 else []
        total = result
    inwards, outwards = (
        {m.name: Port(m, (1, *m.shape)) for m in maps} for maps in (inputs, [*outputs, total])
    )
    return IntegerNetwork(tuple(operators), inwards, outwards)


@pytest.mark.parametrize("limit", [None, 200])
def test_inputs_come_when_they_are_needed_and_outputs_leave_when_complete(
    limit: int | None,
) -> None:
    """However many there are, the chip holds those of one operator."""
    network, size = many_inputs(24), in_pieces(3 * 5 * 7)
    memory = place(network, SMALL, memory_limit_bytes=limit)
    assert memory.optimal
    assert memory.chip_bytes <= 2 * size
    if limit is None:
        assert memory.chip_bytes == 2 * size
        assert len(memory.chip) == 23 + 22
    feeds = {name: np.full(p.shape, 3.0, np.float32) for name, p in network.inputs.items()}
    run = simulate(generate(network, memory, SMALL).binary, feeds)
    for name, values in execute(network, feeds).items():
        np.testing.assert_array_equal(run.outputs[name], values)


def test_an_output_that_is_an_input_is_not_moved() -> None:
    source = Map("x", (3, 5, 7), 0.5, 3)
    port = Port(source, (1, 3, 5, 7))
    table = Lookup("op", (source,), Map("y", source.shape, 0.5, 3), Table.of(range(-128, 128)))
    outputs = {"x2": port, "y": Port(table.output, (1, 3, 5, 7))}
    for operators in ((table,), ()):
        ends = outputs if operators else {"x2": port}
        network = IntegerNetwork(operators, {"x": port}, ends)
        memory = place(network, SMALL)
        run = simulate(
            generate(network, memory, SMALL).binary, {"x": np.ones(port.shape, np.float32)}
        )
        for values in run.outputs.values():
            np.testing.assert_array_equal(values, 1.0)
        assert run.counts.traffic["feature maps written"] == (128 if operators else 0)


def one_table() -> tuple[IntegerNetwork, MemoryPlan]:
    maps = [Map(name, (3, 5, 7), 0.5, 3) for name in "xy"]
    table = Table.of(range(127, -129, -1))
    ports = {m.name: Port(m, (1, *m.shape)) for m in maps}
    operators = (Lookup("op", (maps[0],), maps[1], table),)
    network = IntegerNetwork(operators, {"x": ports["x"]}, {"y": ports["y"]})
    return network, place(network, SMALL)


def test_a_table_replaces_codes_where_they_lie() -> None:
    network, memory = one_table()
    assert set(memory.chip.values()) == {0}
    assert memory.chip_bytes == in_pieces(3 * 5 * 7)
    feeds = {"x": np.random.default_rng(1).normal(0, 30, (1, 3, 5, 7)).astype("f4")}
    run = simulate(generate(network, memory, SMALL).binary, feeds)
    np.testing.assert_array_equal(run.outputs["y"], execute(network, feeds)["y"])


def test_results_beside_what_is_read_are_refused() -> None:
    """An instruction may write exactly the bytes that it reads, not some of them."""
    network, memory = one_table()
    binary = generate(network, memory, SMALL).binary
    program = tuple(
        replace(start, output=replace(start.output, address=1))
        if isinstance(start, LookUp)
        else start
        for start in binary.program
    )
    moved = replace(binary, program=program, chip_bytes=binary.chip_bytes + 16)
    with pytest.raises(InputError, match="still being read by compute"):
        simulate(moved, {"x": np.ones((1, 3, 5, 7), np.float32)})


NETWORKS = ("condensation_net_k2", "mobilenetv3_small_050", "ghostnet_050", "shufflenet_v2_x0_5")


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_placed_with_a_proof(lowered, name: str) -> None:
    """Less memory never saves traffic; everything on the chip is least of all."""
    network = lowered(name).fused
    machine = read_machine("default")
    whole = place(network, machine)
    assert whole.optimal
    assert whole.chip.keys() == lifetimes(network).keys()
    traffic = [traffic_of(network, whole)]
    for share in LIMITS:
        limit = int(whole.chip_bytes * share)
        memory = place(network, machine, memory_limit_bytes=limit)
        assert memory.optimal
        traffic.append(traffic_of(network, memory))
    assert traffic == sorted(traffic)
    assert traffic[0] < traffic[-1]


def test_a_network_is_always_placed_the_same_way(lowered) -> None:
    network, machine = lowered("ghostnet_050").fused, read_machine("default")
    one, other = (place(network, machine, memory_limit_bytes=60_000) for _ in range(2))
    assert one == other


def test_an_operator_that_fits_no_machine_is_an_error(lowered) -> None:
    tiny = replace(read_machine("default"), feature_map_bytes=50)
    with pytest.raises(UnsupportedError, match="bytes of feature-map memory, the machine has 50"):
        place(lowered("condensation_net_k2").fused, tiny)
