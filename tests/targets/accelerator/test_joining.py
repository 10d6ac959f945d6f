"""Two maps joined: every pair of codes against ONNX Runtime's own operators on codes."""

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from condense_compiler.targets.accelerator.integer.compute import combine
from condense_compiler.targets.accelerator.integer.joining import (
    UNITS,
    Joins,
    Side,
    codes_of,
    join,
)

CODES = np.arange(-128, 128)
PAIRS = (CODES[:, None], CODES[None, :])


def sides(seed: int) -> tuple[tuple[Side, Side], Side]:
    """Draw what the codes of two maps and of their result mean."""
    generator = np.random.default_rng(seed)
    scales = generator.uniform(0.004, 0.05, 3).astype(np.float32)
    if seed % 3 == 0:  # many sums lie half way between two codes
        scales[1], scales[2] = scales[0], 2 * scales[0]
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


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("op", "kind"), [("QLinearAdd", "add"), ("QLinearMul", "multiply")])
def test_formulas_are_those_of_onnx_runtime(op: str, kind: str, signed: bool) -> None:
    for seed in range(12):
        joined, to = sides(seed)
        expected = by_onnx_runtime(op, joined, to, signed=signed)
        found = codes_of(Joins(kind, joined, signed), to, PAIRS)
        assert np.array_equal(np.clip(found, -128, 127), expected)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("kind", list(UNITS))
def test_factors_round_every_pair_alike(kind: str, swapped: bool) -> None:
    quantised_in_one_step = kind in ("add", "multiply")
    for seed in range(15):
        if seed % 3 == 0 and not quantised_in_one_step:
            continue  # values half way between codes, each rounded before it is quantised
        joined, to = sides(seed)
        joins = Joins(kind, joined, swapped=swapped)
        found = join(joins, to, (-100, 127))
        zeros, codes = [side.zero for side in joined], PAIRS
        if swapped:
            zeros, codes = zeros[::-1], PAIRS[::-1]
        unit = combine(UNITS[kind], codes, tuple(zeros), found.scaling, found.offset)
        expected = np.clip(codes_of(joins, to, PAIRS), -100, 127)
        assert np.count_nonzero(unit != expected) == found.differing_pairs
        assert found.differing_pairs <= 2


def test_factors_are_searched_for_where_the_plain_ones_miss_a_pair(monkeypatch) -> None:
    from condense_compiler.targets.accelerator.integer import joining  # noqa: PLC0415

    def missed(seed: int) -> int:
        joined, to = sides(seed)
        return join(Joins("add", joined), to, (-128, 127)).differing_pairs

    searched = [missed(seed) for seed in range(30)]
    monkeypatch.setattr(joining, "_around", lambda _factors, _offset: [])
    plain = [missed(seed) for seed in range(30)]
    assert sum(plain) > 0
    assert sum(searched) < sum(plain) / 2
