"""Real networks, as exporters wrote them, through every target."""

import gc
from collections.abc import Mapping

import onnx
import pytest
from kit.models import hydrated, light, light_names, model_names

import condense_compiler as cc
from condense_compiler.passes.cross_channel_pooling import CrossChannelPooling

TARGETS = ("reference", "onnxruntime")
TOLERANCE = 1e-4

# Pooled layers that become one operator; in all other networks there are none.
FUSED: Mapping[str, int] = {
    "ccp_amax": 8,
    "ccp_dynamic_batch": 8,
    "ccp_mean_sum_min": 4,
    "ccp_pool3d": 8,
    "ccp_still_needed": 1,
    "ccp_strided_view": 8,
    "condensation_net": 8,
    "condensation_net_small": 8,
    "lightcnn_mfm": 9,
    "ordinal_pooling": 2,
}
REFUSED: Mapping[str, str] = {"ccp_still_needed": "also read by"}
HEAVY = ("vgg19", "zfnet512", "bvlc_alexnet")  # hundreds of megabytes of weights each


def check(model: onnx.ModelProto, target: str, fused: int = 0, refused: str = "") -> None:
    shapes = (value.type.tensor_type.shape for value in model.graph.input)
    dims = {size.dim_param: 1 for shape in shapes for size in shape.dim if size.dim_param}
    report = cc.compile(model, target, dims=dims).report
    assert report.verification is not None
    assert report.verification.relative_difference <= TOLERANCE
    pooled = [layer for layer in report.fused if layer.pass_name == CrossChannelPooling.name]
    assert len(pooled) == fused
    assert [refused in layer.reason for layer in report.refused] == [True] * bool(refused)
    assert report.after.optimal
    assert report.after.arena_bytes <= report.before.arena_bytes


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", model_names())
def test_network_compiles_and_verifies(name: str, target: str) -> None:
    check(hydrated(name), target, FUSED.get(name, 0), REFUSED.get(name, ""))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", sorted(set(light_names()) - set(HEAVY)))
def test_light_network_compiles_and_verifies(name: str, target: str) -> None:
    check(light(name), target)


@pytest.mark.timeout(900)
def test_heavy_networks_compile_and_verify() -> None:
    """One after the other: each takes gigabytes of memory."""
    for name in HEAVY:
        for target in TARGETS:
            check(light(name), target)
            gc.collect()


def test_lists_name_networks_that_exist() -> None:
    assert set(FUSED) | set(REFUSED) <= set(model_names())
    assert set(HEAVY) <= set(light_names())
    assert len(model_names()) == 27


def test_epilogues_make_no_arena_larger() -> None:
    """Between an operator and its activation a map may change its place, which Res2Net needs."""
    model = hydrated("res2net50_14w_8s")
    report = cc.compile(model, verify_outputs=False).report
    assert report.after.arena_bytes == report.after.lower_bound_bytes
