"""Models that are not valid, or that ask for too much: each is refused with one line."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from fuzz.seeds import One
from kit.small_models import model, node, value

from condense_compiler.driver import compile_model
from condense_compiler.errors import InputError
from condense_compiler.limits import Limits, applied
from condense_compiler.network import load_network

INVALID = Path(__file__).parent.parent / "data" / "invalid"

REFUSED = {
    "abort_conv_slice2": "its window spans 35 pixels",
    "bad_bias": "bias 'b' has shape [3]",
    "bad_reshape": "cannot reshape [1, 4, 4, 4], 64 elements, to [1, 4, 4, 5]",
    "bomb_avgcount": "raise it with --limit window_taps=1000000000000",
    "bomb_cos": "raise it with --limit tensor_bytes=4398046511104",
    "bomb_pool": "taps in one window",
    "contract_ccp_1338": "its window spans 4 pixels of spatial axis 0",
    "contract_clip_map_bounds": "min 'x2' has shape [1, 8, 11]",
    "crash_conv_window_larger": "its window spans 2 pixels of spatial axis 1",
    "crash_hs_10374": "functions cannot be inlined",
    "crash_hs_12126": "it must be a list, of one axis",
    "crash_hs_16843": "each must be from 0 to 2^31",
    "crash_hs_22493": "bias 'w21' has shape [5]",
    "crash_trace_reshape_popempty": "cannot reshape [1, 8, 3, 1]",
    "func_billion": "raise it with --limit operators=2199023255551",
    "hang_conv_group_2e31": "group 2147483647 do not fit together",
    "inp_huge": "bytes for one tensor",
}


@pytest.mark.parametrize(("name", "reason"), REFUSED.items(), ids=REFUSED)
def test_a_model_that_broke_the_compiler_is_refused_in_one_line(name: str, reason: str) -> None:
    with pytest.raises(InputError) as error:
        load_network(INVALID / f"{name}.onnx")
    message = str(error.value)
    assert reason in message
    assert len(message.splitlines()) == 1


COMPILED = (
    "crash_lppool_autopad_ceil",
    "crash_pool_window_larger_fused",
    "wrong_avgpool_same_ceil",
    "wrong_avgpool_window_larger",
    "wrong_qlinearavgpool_window_larger",
)


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("target", ["reference", "onnxruntime"])
def test_a_model_that_onnx_runtime_computes_is_compiled(name: str, target: str) -> None:
    report = compile_model(INVALID / f"{name}.onnx", target).report
    assert report.verification is not None
    assert report.verification.passed


def _f(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


MAP = (1, 4, 6, 5)
FAULTS: dict[str, tuple[One, str]] = {
    "kernel_shape": (One("Conv", MAP, [_f(6, 4, 3, 3)], {"kernel_shape": [3, 2]}), "kernel_shape"),
    "bias of a transposed convolution": (
        One("ConvTranspose", MAP, [_f(4, 2, 3, 3), _f(3)]),
        "bias 'c1' has shape [3]; it must be one axis of 2",
    ),
    "output_padding": (
        One("ConvTranspose", MAP, [_f(4, 2, 3, 3)], {"output_padding": [1, 0]}),
        "output_padding 1",
    ),
    "nothing is left": (
        One("ConvTranspose", MAP, [_f(4, 2, 1, 1)], {"pads": [3, 3, 3, 3]}),
        "nothing is left of output",
    ),
    "auto_pad and pads": (
        One("Conv", MAP, [_f(6, 4, 3, 3)], {"auto_pad": "VALID", "pads": [1, 1, 1, 1]}),
        "both auto_pad and pads",
    ),
    "unknown auto_pad": (One("Conv", MAP, [_f(6, 4, 3, 3)], {"auto_pad": "BOTH"}), "'BOTH'"),
    "strides": (One("Conv", MAP, [_f(6, 4, 3, 3)], {"strides": [2]}), "strides [2] has 1 entries"),
    "stride of zero": (One("MaxPool", MAP, (), {"kernel_shape": [2, 2], "strides": [0, 1]}), "0"),
    "group": (One("Conv", MAP, [_f(6, 4, 3, 3)], {"group": 0}), "group 0 do not fit"),
    "pads beyond a pool": (
        One("MaxPool", MAP, (), {"kernel_shape": [2, 2], "pads": [2, 0, 0, 0]}),
        "must be less than the kernel",
    ),
    "auto_pad and dilations of a pool": (  # ONNX Runtime makes fewer windows than ONNX says
        One(
            "MaxPool",
            MAP,
            (),
            {"kernel_shape": [2, 2], "dilations": [2, 1], "auto_pad": "SAME_LOWER"},
        ),
        "auto_pad with dilations",
    ),
    "ceil_mode of a pool": (
        One("MaxPool", MAP, (), {"kernel_shape": [2, 2], "ceil_mode": 7}),
        "ceil_mode 7 does not exist",
    ),
    "four pooled axes": (
        One("MaxPool", (1, 1, 2, 2, 2, 2), (), {"kernel_shape": [1, 1, 1, 2]}),
        "from 3 to 5 axes",
    ),
    "window": (One("AveragePool", MAP, (), {"kernel_shape": [7, 1]}), "spans 7 pixels"),
    "window in three dimensions": (
        One("LpPool", (1, 1, 2, 2, 2), (), {"kernel_shape": [1, 1, 4], "strides": [1, 1, 2]}),
        "spans 4 pixels of spatial axis 2",
    ),
    "batch normalization": (One("BatchNormalization", MAP, [_f(3)] * 4), "scale 'c0'"),
    "instance normalization": (One("InstanceNormalization", MAP, [_f(3)] * 2), "scale 'c0'"),
    "layer normalization": (One("LayerNormalization", MAP, [_f(4)]), "does not broadcast"),
    "slope": (One("PRelu", MAP, [_f(4)]), "slope of shape [4] does not broadcast"),
    "slope larger than the map": (One("PRelu", (1, 1, 2), [_f(3, 1)]), "does not broadcast"),
    "addend": (One("Gemm", (2, 4), [_f(4, 3), _f(2)]), "C of shape [2]"),
    "permutation": (One("Transpose", MAP, (), {"perm": [0, 1]}), "no permutation of the 4 axes"),
    "blocks": (One("DepthToSpace", MAP, (), {"blocksize": 3}), "cannot be cut into blocks of 3"),
    "blocks of space": (One("SpaceToDepth", MAP, (), {"blocksize": 2}), "blocks of 2"),
    "odd sizes": (One("LRN", MAP, (), {"size": 2}), "size 2 must be odd"),
    "reflected pads": (
        One("Pad", (1, 4), [np.array([0, 5, 0, 0])], {"mode": "reflect"}),
        "can add no more than 3",
    ),
    "pads that cut too much": (One("Pad", (1, 4), [np.array([0, -3, 0, -3])]), "cut more than"),
    "scales": (
        One("Resize", MAP, [None, np.array([1, 1, 0, 2], np.float32)]),
        "scales and sizes must be positive",
    ),
    "index": (One("Gather", MAP, [np.array([4])], {"axis": 1}), "index 4 is out of range"),
    "axis": (One("CumSum", MAP, [np.int64(4)]), "axis 4 is out of range"),
    "scale of codes": (
        One("QuantizeLinear", MAP, [_f(3), np.zeros(3, np.uint8)], {"axis": 1}),
        "fits no axis 1",
    ),
    "recurrence": (
        One("LSTM", (3, 1, 4), [_f(1, 8, 4), _f(1, 8, 3)], {"hidden_size": 2}),
        "R has shape [1, 8, 3], but [1, 8, 2]",
    ),
    "power": (One("LpNormalization", MAP, (), {"p": 3}), "p 3 is not supported"),
    "length of a list": (One("Reshape", MAP, [np.array([[120]])]), "it must be a list"),
}


@pytest.mark.parametrize(("one", "reason"), FAULTS.values(), ids=FAULTS)
def test_what_onnx_runtime_refuses_is_refused(one: One, reason: str) -> None:
    with pytest.raises(InputError) as error:
        load_network(one.model())
    message = str(error.value)
    assert reason in message
    assert one.op in message or "tensor 'r0'" in message
    assert len(message.splitlines()) == 1


BOMBS: dict[str, tuple[One, str]] = {
    "expand": (One("Expand", (1, 1), [np.array([2**31, 2**31])]), "tensor_bytes"),
    "tile": (One("Tile", (2, 3), [np.array([2**40, 1])]), "tensor_bytes"),
    "pad": (One("Pad", (1, 4), [np.array([0, 2**40, 0, 0])]), "tensor_bytes"),
    "resize": (One("Resize", MAP, [None, np.array([1, 1, 1e6, 1e6], np.float32)]), "tensor_bytes"),
    "sizes": (One("Resize", MAP, [None, None, np.array([1, 4, 2**31, 2**31])]), "tensor_bytes"),
    "window": (
        One("MaxPool", MAP, (), {"kernel_shape": [2**20, 2], "pads": [2**20 - 1, 1] * 2}),
        "window_taps",
    ),
    "padding": (
        One("Conv", MAP, [_f(6, 4, 3, 3)], {"pads": [2**30] * 4, "strides": [2**30] * 2}),
        "tensor_bytes",
    ),
    "transposed": (One("ConvTranspose", MAP, [_f(4, 2, 3, 3)], {"strides": [2**30] * 2}), "bytes"),
}


@pytest.mark.parametrize(("one", "limit"), BOMBS.values(), ids=BOMBS)
def test_what_asks_for_too_much_is_refused_before_it_is_computed(one: One, limit: str) -> None:
    with pytest.raises(InputError, match=limit) as error:
        load_network(one.model())
    assert len(str(error.value).splitlines()) == 1


def _folded(op: str, *constants: object, **attributes: object) -> onnx.ModelProto:
    """Return a model that adds what an operator makes of constants to its input."""
    stored = [onnx.numpy_helper.from_array(np.asarray(v), f"c{i}") for i, v in enumerate(constants)]
    names = [tensor.name for tensor in stored]
    nodes = [
        node(op, names, ["made"], **attributes),
        node("Cast", ["made"], ["floats"], to=onnx.TensorProto.FLOAT),
        node("ReduceSum", ["floats"], ["sum"], keepdims=0),
        node("Add", ["x", "sum"], ["y"]),
    ]
    return model(nodes, [value("x", [2, 3])], [value("y", None)], stored)


FOLDED = {
    "ConstantOfShape": _folded("ConstantOfShape", np.array([2**20, 2**20])),
    "Range": _folded("Range", np.int64(0), np.int64(2**40), np.int64(1)),
    "OneHot": _folded("OneHot", np.arange(9), np.array([2**40]), np.array([0, 1])),
    "Expand": _folded("Expand", np.int64(0), np.array([2**40, 2])),
}


@pytest.mark.parametrize("source", FOLDED.values(), ids=FOLDED)
def test_folding_allocates_nothing_beyond_the_limit(source: onnx.ModelProto) -> None:
    with pytest.raises(InputError, match="tensor_bytes"):
        load_network(source)


def test_many_constants_are_counted_together() -> None:
    nodes = [node("ConstantOfShape", ["size"], [f"c{i}"]) for i in range(8)]
    nodes += [node("Add", ["x" if not i else f"s{i - 1}", f"c{i}"], [f"s{i}"]) for i in range(8)]
    size = onnx.numpy_helper.from_array(np.array([2**16]), "size")
    source = model(nodes, [value("x", [2**16])], [value("s7", None)], [size])
    load_network(source)
    with applied(Limits(constant_bytes=7 * 4 * 2**16)), pytest.raises(InputError) as error:
        load_network(source)
    assert "raise it with --limit constant_bytes=" in str(error.value)


def test_limits_can_be_raised_and_lowered() -> None:
    source = One("Tile", (2, 3), [np.array([4, 1])]).model()
    load_network(source)
    with pytest.raises(InputError, match="96 bytes for one tensor, more than the limit of 95"):
        compile_model(source, limits=Limits(tensor_bytes=95))
    with pytest.raises(InputError, match="operators and calls, more than the limit of 2"):
        compile_model(source, limits=Limits(operators=2))
    compile_model(source, limits=Limits(tensor_bytes=96, operators=3))


def test_verification_that_would_take_hours_is_not_begun() -> None:
    source = One("Conv", MAP, [_f(6, 4, 3, 3)]).model()
    few = Limits(operations=100)
    with pytest.raises(InputError, match="verification of 'one': 2,592 operations"):
        compile_model(source, limits=few)
    compile_model(source, limits=few, verify_outputs=False)
    with pytest.raises(InputError, match="feature maps at once"):
        compile_model(source, limits=Limits(arena_bytes=100))
