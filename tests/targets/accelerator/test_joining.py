"""Two maps joined: every pair of codes against ONNX Runtime's own operators on codes."""

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from condense_compiler.targets.accelerator.integer.joined import combine
from condense_compiler.targets.accelerator.integer.joining import (
    JOINING,
    Joins,
    Side,
    joining_of,
)

CODES = np.arange(-128, 128)
OPERATIONS = {
    "Add": np.add,
    "Max": np.maximum,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Sub": np.subtract,
}
PAIRS = (CODES[:, None], CODES[None, :])


def sides(seed: int) -> tuple[tuple[Side, Side], Side]:
    """Draw what the codes of two maps and of their result mean."""
    generator = np.random.default_rng(seed)
    scales = generator.uniform(0.004, 0.05, 3)
    if seed % 2 == 0:  # many sums lie half way between two codes, or next to it
        scales = scales[0] * generator.integers(1, 9, 3) / 4
    scales = scales.astype(np.float32)
    zeros = generator.integers(-128, 128, 3)
    first, second, to = (Side(float(s), int(z)) for s, z in zip(scales, zeros, strict=True))
    return (first, second), to


def by_onnx_runtime(op: str, joined: tuple[Side, Side], to: Side, *, signed: bool) -> np.ndarray:
    """Return the codes of all pairs, with a sign."""
    dtype, kind = (np.int8, TensorProto.INT8) if signed else (np.uint8, TensorProto.UINT8)
    shift = 0 if signed else 128
    constants = {}
    for name, side in zip("abc", (*joined, to), strict=True):
        constants[f"{name}_scale"] = np.float32(side.scale)
        constants[f"{name}_zero"] = np.array(side.zero + shift, dtype)
    names = [f"{name}_{part}" for name in "abc" for part in ("scale", "zero")]
    inputs = ["a", *names[:2], "b", *names[2:]]
    graph = helper.make_graph(
        [helper.make_node(op, inputs, ["c"], domain="com.microsoft")],
        "pairs",
        [helper.make_tensor_value_info(name, kind, (65536,)) for name in "ab"],
        [helper.make_tensor_value_info("c", kind, (65536,))],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()],
    )
    domains = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=domains, ir_version=10)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    grid = np.meshgrid(CODES + shift, CODES + shift, indexing="ij")
    feeds = {n: v.astype(dtype).reshape(-1) for n, v in zip("ab", grid, strict=True)}
    return session.run(None, feeds)[0].reshape(256, 256).astype(int) - shift


def by_rounding(op: str, joined: tuple[Side, Side], to: Side) -> np.ndarray:
    """Return the codes of all pairs, by ONNX's operator on values and QuantizeLinear."""
    values = [
        (codes - side.zero).astype(np.float32) * np.float32(side.scale)
        for codes, side in zip(PAIRS, joined, strict=True)
    ]
    result = OPERATIONS[op](*values)
    return np.clip(np.rint(result / np.float32(to.scale)).astype(int) + to.zero, -128, 127)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("op", "kind"), [("QLinearAdd", "add"), ("QLinearMul", "multiply")])
def test_pairs_become_the_codes_that_onnx_runtime_gives(
    op: str, kind: str, signed: bool, swapped: bool
) -> None:
    for seed in range(40):
        joined, to = sides(seed)
        expected = by_onnx_runtime(op, joined, to, signed=signed)
        joins = Joins(kind, joined, swapped=swapped)
        joining = joining_of(joins, to, (-128, 127), signed=signed)
        found = combine(PAIRS[::-1] if swapped else PAIRS, joining)
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("op", ["Add", "Max", "Min", "Mul", "Sub"])
def test_operators_on_values_that_are_quantised_again(op: str, swapped: bool) -> None:
    for seed in range(40):
        joined, to = sides(seed)
        joins = Joins(JOINING[op], joined, on_values=True, swapped=swapped)
        joining = joining_of(joins, to, (-128, 127))
        found = combine(PAIRS[::-1] if swapped else PAIRS, joining)
        assert np.array_equal(found, by_rounding(op, joined, to))


def test_results_are_limited() -> None:
    joined, to = sides(1)
    found = combine(PAIRS, joining_of(Joins("add", joined), to, (-100, 90)))
    assert (found.min(), found.max()) == (-100, 90)
