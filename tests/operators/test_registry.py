"""What definitions say holds for what operators do."""

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from kit.codes_writer import CodesWriter
from kit.layers import Layer, Window
from kit.layers import Network as Layers
from kit.numerics import run_onnxruntime
from kit.operator_cases import CASES, MOVING, SHAPE, OperatorCase
from kit.rewriting import rewrite

from condense_compiler.network import Network
from condense_compiler.operators.definition import ROW_AXIS, Foreign
from condense_compiler.operators.registry import DEFINITIONS, definition_of, moved, parse
from condense_compiler.passes import DEFAULT_PASSES

WAYS = pytest.mark.parametrize("case", CASES, ids=str)

# Operators of which no node is written in `kit.operator_cases`.
ELSEWHERE = {
    *("GRU", "GroupNormalization", "LSTM", "RMSNormalization", "RNN", "Swish", "Where"),
}
# Operators whose rows depend on each other, or on what a network computes.
NEED_ALL_ROWS = {
    *("Einsum", "Flatten", "GatherElements", "GatherND", "Gemm", "GlobalAveragePool"),
    *("GlobalLpPool", "GlobalMaxPool", "Hardmax", "InstanceNormalization", "LayerNormalization"),
    *(
        "LogSoftmax",
        "LpNormalization",
        "MatMul",
        "MatMulInteger",
        "MeanVarianceNormalization",
        "ReverseSequence",
    ),
    *("QLinearMatMul", "ReverseSequence", "Softmax", "TopK"),
}


def node_of(case: OperatorCase) -> gs.Node:
    [node] = gs.import_onnx(case.model()).nodes
    return node


def test_every_definition_has_a_case() -> None:
    written = {case.op for case in CASES}
    assert written | ELSEWHERE == {op for domain, op in DEFINITIONS if not domain}


def test_an_operator_without_a_definition_gets_the_safe_answers() -> None:
    data, result = (gs.Variable(name, np.float32, SHAPE) for name in ("x", "y"))
    for op, domain in (("Relu", "somewhere.else"), ("Unheard", None)):
        node = gs.Node(op, "it", {}, [data], [result], domain=domain)
        operator = parse(node)
        assert isinstance(operator, Foreign)
        assert (operator.moved(), operator.aliases(), operator.macs()) == (None, [], 0)
        assert operator.rows(range(1)) is None
        assert not definition_of(node).keeps_steps


def test_which_operators_say_what_rows_they_need() -> None:
    says = {case.op for case in CASES if parse(node_of(case)).rows(range(1, 2)) is not None}
    assert {case.op for case in CASES} - says == NEED_ALL_ROWS


@WAYS
def test_rows_that_are_not_needed_change_nothing(case: OperatorCase) -> None:
    """Whatever stands in other rows of the inputs, the rows of the result stay what they are."""
    model, operator = case.model(), parse(node_of(case))
    generator = np.random.default_rng(2)
    feeds = feeds_of(case, generator)
    expected = run_onnxruntime(model, feeds)
    for number, (name, result) in enumerate(expected.items()):
        count = result.shape[ROW_AXIS] if result.ndim > ROW_AXIS else 0
        for first, end in ((0, 1), (count - 1, count), (1, min(3, count)), (0, count)):
            needed = operator.rows(range(first, end), number) if 0 <= first < end else None
            if needed is None:
                continue
            others = feeds_of(case, generator)
            for index, rows in needed.items():
                kept = np.s_[:, :, rows.start : rows.stop]
                assert 0 <= rows.start <= rows.stop <= case.maps[index][ROW_AXIS]
                others[f"x{index}"][kept] = feeds[f"x{index}"][kept]
            for index in range(len(case.maps)):
                if index not in needed:
                    others[f"x{index}"] = feeds[f"x{index}"]
            actual = run_onnxruntime(model, others)[name]
            part = np.s_[:, :, first:end]
            np.testing.assert_array_equal(actual[part], result[part])


@WAYS
def test_memory_that_is_shared_holds_the_same_values(case: OperatorCase) -> None:
    feeds = feeds_of(case, np.random.default_rng(4))
    aliases = parse(node_of(case)).aliases()
    results = list(run_onnxruntime(case.model(), feeds).values()) if aliases else []
    for alias in aliases:
        one, other = feeds[f"x{alias.input}"].reshape(-1), results[alias.output].reshape(-1)
        size, shift = min(one.size, other.size), alias.shift
        first, second = max(shift, 0), max(-shift, 0)
        np.testing.assert_array_equal(one[first : first + size], other[second : second + size])


def feeds_of(case: OperatorCase, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Return positive numbers: every operator is defined for them."""
    scale = 1 if case.dtype == np.float32 else 100
    return {
        name: (generator.uniform(0.1, 2, shape) * scale).astype(case.dtype)
        for name, shape in zip(case.names(), case.maps, strict=True)
    }


def quantised(case: OperatorCase) -> onnx.ModelProto:
    """Return the operator between two quantisations that are the same."""
    w = CodesWriter()
    grid = w.parameters(0.05, 100, np.uint8)
    maps = [w.requantize("x", grid) for _ in case.maps]
    constants = ["" if value is None else w.constant(value) for value in case.operands]
    results = w.apply(case.op, *maps, *constants, outputs=case.outputs, **case.attributes)
    return w.model([w.requantize(result, grid) for result in results], case.maps[0], case.opset)


def moves_codes(case: OperatorCase) -> bool:
    """Tell whether a case moves, in a version that takes codes, maps that are all of one shape."""
    return (
        moved(node_of(case)) is not None
        and case.opset >= 13
        and case.dtype == np.float32
        and len({*case.maps}) == 1
    )


@pytest.mark.parametrize("case", [*filter(moves_codes, CASES)], ids=str)
def test_what_moves_values_moves_quantised_values(case: OperatorCase) -> None:
    result = rewrite(quantised(case), DEFAULT_PASSES)
    made = [tensor for node in result.network.graph.nodes for tensor in node.outputs]
    floats = [tensor for tensor in made if tensor.dtype == np.float32]
    assert len(floats) == case.outputs  # the outputs of the network, but nothing in between


def test_some_of_each_moving_operator_are_tried() -> None:
    tried = {case.op for case in CASES if moves_codes(case)}
    assert tried >= {case.op for case in MOVING} - {"Dropout", "Upsample"}


def test_fused_operators_say_what_rows_they_need() -> None:

    layer = Layer(
        "reduce_max",
        4,
        2,
        Window((3, 3), (2, 1), pads=(1, 1, 1, 1)),
        max_pool=Window((3, 3), (2, 2)),
    )
    source = Layers((layer,), channels=3, spatial=(23, 9)).build()
    result = rewrite(source, DEFAULT_PASSES)
    [node] = result.network.graph.nodes
    check_rows(result.network, node)


def check_rows(network: Network, node: gs.Node) -> None:
    model, generator = network.to_model(), np.random.default_rng(3)
    [name], shape = [t.name for t in network.graph.inputs], node.inputs[0].shape
    feeds = {name: generator.standard_normal(shape).astype(np.float32)}
    [expected] = run_onnxruntime(model, feeds).values()
    for row in range(expected.shape[ROW_AXIS]):
        needed = parse(node).rows(range(row, row + 1))
        assert needed is not None
        other = generator.standard_normal(shape).astype(np.float32)
        kept = np.s_[:, :, needed[0].start : needed[0].stop]
        other[kept] = feeds[name][kept]
        assert len(needed[0]) < shape[ROW_AXIS]
        [actual] = run_onnxruntime(model, {name: other}).values()
        np.testing.assert_array_equal(actual[:, :, row], expected[:, :, row])
