from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from kit.numerics import run_onnxruntime
from onnx import helper
from onnx.reference import ReferenceEvaluator

from condense_compiler.operators.elementwise import parse
from condense_compiler.operators.function_body import function_body, operand_count
from condense_compiler.operators.fused import DOMAIN, OP, ConvPool
from condense_compiler.operators.window import Window

Array = npt.NDArray[np.float32]

OPSETS = range(11, onnx.defs.onnx_opset_version() + 1)
NEWEST_OF_ONNXRUNTIME = 23  # newer ones it may run or not
DATA, FILTERS = (2, 3, 6, 5), (12, 3, 3, 2)
WIDE = (2, 12, 3, 5)
PLAIN = ConvPool(Window((3, 2), (2, 1), (1, 0, 0, 1), (1, 1)), 1, "max", 3)

RECIPES: dict[str, ConvPool] = {
    "max": PLAIN,
    "min": replace(PLAIN, reduction="min"),
    "mean": replace(PLAIN, reduction="mean"),
    "sum": replace(PLAIN, reduction="sum", window=4),
    "l2": replace(PLAIN, reduction="l2", window=2),
    "ordinal": replace(PLAIN, reduction="ordinal", rank_weights=(0.5, 0.25, 0.125)),
    "one member": replace(PLAIN, window=1),
    "one member, l2": replace(PLAIN, window=1, reduction="l2"),
    "one group": replace(PLAIN, window=12),
    "members": replace(PLAIN, members=(0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11)),
    "programs": replace(
        PLAIN,
        before=parse(["Sigmoid x", "Mul x %0", "Add %1 $0"]),
        after=parse(["LeakyRelu x alpha=0.1", "Mul %0 $0", "Clip %1 -0.5 inf"]),
    ),
    "spatial": replace(PLAIN, spatial=Window((2, 2), (2, 2), (0, 0, 0, 0), (1, 1), True)),
}


def operands_of(recipe: ConvPool) -> list[Array]:
    """Return the operands: those of `before` for each wide channel, those of `after` pooled."""
    generator = np.random.default_rng(3)
    channels = [12] * recipe.before.operand_count()
    channels += [12 // recipe.window] * recipe.after.operand_count()
    return [generator.uniform(-1, 1, (n, 1, 1)).astype(np.float32) for n in channels]


def model_of(recipe: ConvPool, opset: int) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Return a model that calls the operator, and random tensors for its inputs."""
    function = function_body(recipe, WIDE, np.dtype(np.float32), opset)
    generator = np.random.default_rng(4)
    drawn = {"x": DATA, "w": FILTERS, "b": FILTERS[:1]}
    feeds = {n: generator.standard_normal(s).astype(np.float32) for n, s in drawn.items()}
    feeds |= {f"operand{i}": values for i, values in enumerate(operands_of(recipe))}
    node = helper.make_node(
        OP, list(feeds), ["y"], domain=DOMAIN, overload=function.overload, **recipe.to_attributes()
    )
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "call",
        [helper.make_tensor_value_info(name, kind, value.shape) for name, value in feeds.items()],
        [helper.make_tensor_value_info("y", kind, [None] * len(DATA))],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=10)
    return model, feeds


def composed(recipe: ConvPool, feeds: dict[str, Array]) -> npt.NDArray[np.float64]:
    """Compute what the operator's definition says, pixel by pixel."""
    x, w, b = (np.asarray(feeds[name], np.float64) for name in "xwb")
    padded = np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 1)))
    wide = np.empty(WIDE)
    for row in range(WIDE[2]):
        for column in range(WIDE[3]):
            patch = padded[:, :, 2 * row : 2 * row + 3, column : column + 2]
            wide[:, :, row, column] = np.einsum("nchw,kchw->nk", patch, w) + b
    operands = iter(operands_of(recipe))
    if recipe.before:
        wide = wide / (1 + np.exp(-wide)) + next(operands)
    order = list(recipe.members) or list(range(12))
    groups = wide[:, order].reshape(2, -1, recipe.window, *WIDE[2:])
    reduced = {
        "max": lambda: groups.max(axis=2),
        "min": lambda: groups.min(axis=2),
        "mean": lambda: groups.mean(axis=2),
        "sum": lambda: groups.sum(axis=2),
        "l2": lambda: np.sqrt((groups**2).sum(axis=2)),
        "ordinal": lambda: np.einsum(
            "ngkhw,k->nghw", -np.sort(-groups, axis=2), np.array(recipe.rank_weights)
        ),
    }[recipe.reduction]()
    if recipe.after:
        reduced = np.maximum(np.where(reduced < 0, 0.1 * reduced, reduced) * next(operands), -0.5)
    if recipe.spatial is not None:  # 2x2, stride 2, the last ones incomplete
        rows, columns = range(0, WIDE[2], 2), range(0, WIDE[3], 2)
        pooled = [
            [reduced[:, :, r : r + 2, c : c + 2].max(axis=(2, 3)) for c in columns] for r in rows
        ]
        reduced = np.array(pooled).transpose(2, 3, 0, 1)
    return np.asarray(reduced)


def assert_close(actual: Array, expected: npt.NDArray[np.float64]) -> None:
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_body_is_valid_and_computes_what_the_recipe_says(recipe: ConvPool, opset: int) -> None:
    model, feeds = model_of(recipe, opset)
    onnx.checker.check_model(model, full_check=True)
    expected = composed(recipe, feeds)
    [evaluated] = ReferenceEvaluator(model).run(None, feeds)
    assert_close(np.asarray(evaluated), expected)
    if opset <= NEWEST_OF_ONNXRUNTIME:
        assert_close(run_onnxruntime(model, feeds)["y"], expected)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_operands_are_counted(recipe: ConvPool) -> None:
    function = function_body(recipe, WIDE, np.dtype(np.float32), 18)
    assert len(function.input) == 3 + operand_count(recipe)


def overloads(recipes: Sequence[ConvPool], wide: Sequence[int] = WIDE, opset: int = 18) -> set[str]:
    dtype = np.dtype(np.float32)
    return {function_body(recipe, wide, dtype, opset).overload for recipe in recipes}


def test_different_bodies_have_different_overloads() -> None:
    assert len(overloads(list(RECIPES.values()))) == len(RECIPES)
    sizes = overloads([PLAIN]) | overloads([PLAIN], (2, 12, 3, 4)) | overloads([PLAIN], opset=13)
    assert len(sizes) == 3


def test_equal_bodies_have_one_overload() -> None:
    assert len(overloads([PLAIN, replace(PLAIN)])) == 1
