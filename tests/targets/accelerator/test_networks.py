"""Whole networks: simulator, executor and ONNX Runtime agree."""

import numpy as np
import pytest

from condense_compiler.targets.accelerator.agreement import compare_operators, compare_outputs
from condense_compiler.targets.accelerator.integer.executor import execute

SMALL = "condensation_net_k2"
SMALL_MACHINE_MEMORY = {"memory_limit_bytes": str(12 * 1024)}
VARIANTS = [
    (SMALL, {}),
    (SMALL, {"machine": "small"}),
    (SMALL, {"machine": "large"}),
    (SMALL, {"feature_maps": "dram"}),
    (SMALL, SMALL_MACHINE_MEMORY),
    (SMALL, {"weight_bits": "4"}),
    (SMALL, {"weight_bits": "2", "feature_maps": "dram"}),
    (SMALL, {"weight_bits": "1"}),
    ("condensation_net_k1", {}),
    ("condensation_net_k4", {"feature_maps": "dram"}),
    ("ccp_mean_sum_min", {}),
    ("ccp_mean_sum_min", {"machine": "small", "feature_maps": "dram"}),
    ("ccp_amax", {}),
    ("ccp_still_needed", {"feature_maps": "dram"}),
    ("ordinal_pooling", {}),
    ("shufflenet_v2_x0_5", {}),
    ("ghostnet_050", {"memory_limit_bytes": "200000"}),
    ("mobilenetv3_small_050", {"feature_maps": "dram"}),
    ("squeezenet1_1", {"machine": "large"}),
]


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_the_simulator_equals_the_executor(lowered, feeds_of, name, options) -> None:
    program = lowered(name, **options)
    feeds = feeds_of(program)
    expected = execute(program.fused, feeds)
    for output, values in program.simulate(feeds).outputs.items():
        assert np.array_equal(values, expected[output])


@pytest.mark.parametrize(
    "name",
    [
        SMALL,
        "ccp_amax",
        "ccp_mean_sum_min",
        "ccp_still_needed",
        "ghostnet_050",
        "mobilenetv3_small_050",
        "ordinal_pooling",
        "shufflenet_v2_x0_5",
    ],
)
def test_codes_equal_those_of_onnx_runtime(lowered, feeds_of, name) -> None:
    program = lowered(name)
    feeds = feeds_of(program)
    compared = program.fused, program.quantised
    for agreement in (
        compare_outputs(*compared, feeds),
        compare_operators(*compared, feeds),
    ):
        assert agreement.elements >= 100
        assert agreement.differing == 0


def test_the_pooling_unit_saves_traffic_and_adds_no_storage(lowered, feeds_of) -> None:
    storages = set()
    for k in (1, 2, 4):
        program = lowered(f"condensation_net_k{k}")
        storages.add(program.simulate(feeds_of(program)).counts.chip_bytes)
    assert len(storages) == 1


def test_maps_in_dram_cost_traffic(lowered, feeds_of) -> None:
    inside, outside = (lowered(SMALL, feature_maps=where) for where in ("auto", "dram"))
    counts = [program.simulate(feeds_of(program)).counts for program in (inside, outside)]
    assert counts[0].traffic_bytes < counts[1].traffic_bytes
    assert counts[0].traffic["weights"] == counts[1].traffic["weights"]


def test_fewer_bits_make_weights_smaller(lowered) -> None:
    sizes = [len(lowered(SMALL, weight_bits=bits).code.binary.weights) for bits in "8421"]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[3] < sizes[0] / 4


def test_placement_keeps_within_the_memory(lowered) -> None:
    program = lowered(SMALL, **SMALL_MACHINE_MEMORY)
    assert program.memory.chip_bytes <= 12 * 1024
    assert 0 < len(program.memory.chip) < len(set(program.memory.dram) | set(program.memory.chip))
