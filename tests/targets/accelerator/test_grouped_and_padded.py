"""Convolutions padded by their reach or more, and channels pooled across groups of filters."""

import numpy as np
import pytest
from kit.floating import constant, filters, model, node

from condense_compiler.driver import compile_model
from condense_compiler.errors import UnsupportedError
from condense_compiler.targets.accelerator.integer.executor import execute

pytestmark = pytest.mark.filterwarnings("ignore:no calibration samples")


def _compiled(given, **limits: int):
    compilation = compile_model(given, "accelerator", **limits)
    assert compilation.report.verification.passed
    return compilation


@pytest.mark.parametrize("memory", [None, 4096])
@pytest.mark.parametrize("strides", [[1, 1], [2, 3]])
@pytest.mark.parametrize(
    ("kernel", "pads"),
    [(1, [1] * 4), (1, [3, 0, 0, 2]), (2, [2, 5, 3, 0]), (3, [3] * 4), (3, [20] * 4)],
)
def test_padding_may_be_larger_than_the_window(kernel, pads, strides, memory) -> None:
    layer = node("Conv", ["x", "w", "b"], ["c"], pads=pads, strides=strides)
    weights = [filters("w", 8, 3, kernel, kernel), filters("b", 8)]
    given = model([layer, node("Relu", ["c"], ["y"])], weights, (1, 3, 9, 7))
    compilation = _compiled(given, **({} if memory is None else {"memory_limit_bytes": memory}))
    x = np.random.default_rng(3).standard_normal((1, 3, 9, 7)).astype(np.float32)
    expected = execute(compilation.lowered.fused, {"x": x})["y"]
    assert np.array_equal(compilation.run({"x": x})["y"], expected)


@pytest.mark.parametrize(
    ("pads", "strides", "reason"),
    [([50, 50, 0, 0], [100, 100], "padding alone"), ([20_000, 0, 0, 0], [1, 1], "beyond 16,384")],
)
def test_windows_that_the_machine_lacks_are_refused(pads, strides, reason) -> None:
    layer = node("Conv", ["x", "w"], ["y"], "layer", pads=pads, strides=strides)
    given = model([layer], [filters("w", 2, 3, 1, 1)], (1, 3, 4, 4))
    with pytest.raises(UnsupportedError, match=rf"node 'layer' \(Conv\): .*{reason}"):
        compile_model(given, "accelerator")
    assert compile_model(
        given, "accelerator", target_options={"allow_fallback": "true"}
    ).report.verification.passed


@pytest.mark.parametrize("axis", [1, 2])  # strided and consecutive members
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize(
    ("group", "window", "wide"), [(2, 2, 2), (4, 2, 4), (4, 8, 8), (2, 6, 6), (3, 2, 6), (4, 3, 12)]
)
def test_channels_may_be_pooled_across_groups(group, window, wide, depth, axis) -> None:
    sizes = [window, wide // window] if axis == 1 else [wide // window, window]
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], group=group, pads=[1] * 4),
        node("Reshape", ["c", "shape"], ["r"]),
        node("ReduceMax", ["r"], ["y"], axes=[axis], keepdims=0),
    ]
    weights = [filters("w", wide, depth, 3, 3), filters("b", wide)]
    weights.append(constant("shape", [1, *sizes, 9, 7]))
    compilation = _compiled(model(nodes, weights, (1, group * depth, 9, 7)))
    assert len(compilation.report.fused) == 1
    assert compilation.report.verification.relative_difference == 0
