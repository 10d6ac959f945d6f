"""The picture of a compilation for the accelerator: the chip's memory."""

import numpy as np
import onnx
import pytest
from condensation_net import build
from onnx import helper, numpy_helper

from condense_compiler.compilation import Compilation
from condense_compiler.driver import compile_model
from condense_compiler.report.page import render_page
from condense_compiler.report.picture import Picture, PlanPicture
from condense_compiler.report.tables import render_text
from condense_compiler.report.terminal import render_terminal

pytestmark = pytest.mark.filterwarnings("ignore:no calibration samples")

FLOAT = onnx.TensorProto.FLOAT


def residual() -> onnx.ModelProto:
    """Return a network whose sum takes the place of an operand; its softmax runs elsewhere."""
    generator = np.random.default_rng(8)
    weights = {
        name: generator.standard_normal((3, 3, 3, 3)).astype(np.float32) for name in ("v", "w")
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "v"], ["a"], name="first", pads=[1] * 4),
            helper.make_node("Conv", ["a", "w"], ["b"], name="second", pads=[1] * 4),
            helper.make_node("Add", ["a", "b"], ["c"], name="sum"),
            helper.make_node("Softmax", ["c"], ["d"], name="soft", axis=1),
            helper.make_node("Conv", ["d", "v"], ["y"], name="last", pads=[1] * 4),
        ],
        "residual",
        [helper.make_tensor_value_info("x", FLOAT, (1, 3, 9, 7))],
        [helper.make_tensor_value_info("y", FLOAT, (1, 3, 9, 7))],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def compiled(model: onnx.ModelProto, limit: int | None = None) -> Compilation:
    return compile_model(
        model,
        "accelerator",
        memory_limit_bytes=limit,
        verify_outputs=False,
        target_options={"allow_fallback": "true"},
    )


def check(plan: PlanPicture) -> None:
    """Maps alive at a step lie apart, but for those that replace each other; loads add up."""
    for number, step in enumerate(plan.steps):
        alive = plan.alive_at(number)
        held: dict[int, str] = {}
        for each in alive:
            assert each.offset + each.size <= plan.arena_bytes
            for byte in range(each.offset, each.offset + each.size):
                assert held.get(byte, each.overwrites) == each.overwrites or (
                    held[byte] == each.overwritten_by
                )
                held[byte] = each.tensor
        assert step.load == len(held)


@pytest.mark.parametrize("limit", [None, 3000, 1500])
@pytest.mark.parametrize("name", ["condensation_net", "residual"])
def test_pictures_show_the_chip(name: str, limit: int | None) -> None:
    model = residual() if name == "residual" else build(k=2, width=0.25, size=32)
    compilation = compiled(model, limit)
    picture, report = compilation.picture, compilation.report
    assert picture.before.arena_bytes == report.before.arena_bytes
    assert picture.after.arena_bytes == report.after.arena_bytes
    check(picture.before)
    check(picture.after)
    assert Picture.from_dict(picture.to_dict()) == picture
    assert f"{picture.after.arena_bytes:,}" in render_terminal(picture, 100).plain
    assert "stripes" in render_text(picture) or report.residency.in_dram <= 1
    assert render_page(picture).startswith("<!DOCTYPE html>")


def test_sums_are_drawn_where_their_operand_lay() -> None:
    picture = compiled(residual()).picture
    [replacing] = [each for each in picture.after.maps if each.overwrites]
    [replaced] = [each for each in picture.after.maps if each.overwritten_by]
    assert (replacing.operator, replacing.overwrites) == ("sum", replaced.tensor)
    assert replacing.offset == replaced.offset
    assert [step.ops for step in picture.after.steps] == [
        *(("Convolution",), ("Convolution",), ("Binary",)),
        *(("Softmax",), ("Convolution",)),
    ]
