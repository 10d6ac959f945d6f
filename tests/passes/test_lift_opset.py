import onnx
import pytest
from kit.codes_writer import CodesWriter
from kit.rewriting import rewrite

from condense_compiler.passes import find_pass

SHAPE = (1, 4, 6, 5)


def model(opset: int) -> onnx.ModelProto:
    w = CodesWriter()
    tensor = w.requantize("x", w.parameters(0.05, 100))
    [pooled] = w.apply("MaxPool", tensor, kernel_shape=[2, 2])
    [flat] = w.apply("Unsqueeze", pooled, axes=[0])
    return w.model([w.requantize(flat, w.parameters(0.05, 100))], SHAPE, opset)


@pytest.mark.parametrize("opset", [10, 11, 12])
def test_quantised_networks_are_lifted(opset: int) -> None:
    result = rewrite(model(opset), [find_pass("lift_opset")])
    [rewritten] = result.outcomes["lift_opset"].rewrites
    assert rewritten.pattern == f"opset {opset} → 13"
    assert result.network.opset == 13
    result.check_outputs(tolerance=0)


def test_others_stay_as_they_are() -> None:
    w = CodesWriter()
    [clipped] = w.apply("Unsqueeze", "x", axes=[0])
    result = rewrite(w.model([clipped], SHAPE, 11), [find_pass("lift_opset")])
    assert not result.outcomes["lift_opset"].rewrites
    assert result.network.opset == 11


def test_what_cannot_be_lifted_is_refused_and_left_as_it_is() -> None:
    w = CodesWriter()
    tensor = w.requantize("x", w.parameters(0.05, 100))
    scales = w.constant(
        onnx.numpy_helper.to_array(onnx.helper.make_tensor("", 1, [4], [1, 1, 2, 0.5]))
    )
    [resized] = w.apply("Resize", tensor, scales, mode="nearest")
    result = rewrite(w.model([resized], SHAPE, 10), [find_pass("lift_opset")])
    assert "shrinks" in result.reasons[0]
    assert result.network.opset == 10
