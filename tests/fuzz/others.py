"""Recipes for operators that few networks have: recurrent layers, sampling, integers, indices."""

import numpy as np

from fuzz.draft import Draft, UnfitError


def recurrent(draft: Draft) -> None:
    """Add an LSTM, GRU or RNN; not all its results need be read."""
    x = draft.map(ranks=(3,))
    width, hidden = draft.shape(x)[2], draft.number(1, 4)
    op = draft.choose(("GRU", "LSTM", "RNN"))
    gates = {"GRU": 3, "LSTM": 4, "RNN": 1}[op]
    direction = draft.choose(("forward", "forward", "reverse", "bidirectional"))
    directions = 2 if direction == "bidirectional" else 1
    names = [
        x,
        draft.weights((directions, gates * hidden, width), 0.3),
        draft.weights((directions, gates * hidden, hidden), 0.3),
    ]
    if draft.chance(0.6):
        names.append(draft.weights((directions, 2 * gates * hidden), 0.3))
    results = 3 if op == "LSTM" else 2
    draft.add(op, names, draft.number(1, results), hidden_size=hidden, direction=direction)


def grid_sample(draft: Draft) -> None:
    """Sample a map at places between its pixels."""
    x = draft.map(ranks=(4,))
    batch = draft.shape(x)[0]
    places = draft.random.uniform(-1.2, 1.2, (batch, draft.number(1, 4), draft.number(1, 4), 2))
    modes = ("bilinear", "nearest") if draft.opset < 20 else ("linear", "nearest", "cubic")
    draft.add(
        "GridSample",
        [x, draft.constant(places)],
        mode=draft.choose(modes),
        padding_mode=draft.choose(("zeros", "border", "reflection")),
        align_corners=draft.number(0, 1),
    )


def gather_elements(draft: Draft) -> None:
    """Choose elements along an axis, each by an index of its own."""
    x = draft.map()
    shape = draft.shape(x)
    axis = draft.number(0, len(shape) - 1)
    indices = draft.random.integers(-shape[axis], shape[axis], shape)
    draft.add("GatherElements", [x, draft.constant(indices)], axis=axis)


def index(draft: Draft) -> None:
    """Return where the largest or smallest values stand."""
    x = draft.map()
    axis = draft.number(0, draft.values[x].ndim - 1)
    op = draft.choose(("ArgMax", "ArgMin"))
    draft.add(op, [x], axis=axis, keepdims=draft.number(0, 1))


def pooled_with_indices(draft: Draft) -> None:
    """Add a MaxPool that tells where its values stood."""
    draft.add("MaxPool", [draft.map(ranks=(4,))], 2, kernel_shape=[2, 2], strides=[2, 2])


def along_an_axis(draft: Draft) -> None:
    """Add up along an axis, or choose one value of it."""
    x = draft.map()
    axis = draft.number(0, draft.values[x].ndim - 1)
    if draft.chance(0.5):
        draft.add("Hardmax", [x], axis=axis)
    else:
        draft.add("CumSum", [x, draft.constant(np.array(axis))], exclusive=draft.number(0, 1))


def einsum(draft: Draft) -> None:
    """Multiply matrices in Einstein's notation."""
    x = draft.map(ranks=(2, 3))
    depth = draft.shape(x)[-1]
    rest = "ab"[: draft.values[x].ndim - 1]
    equation = f"{rest}k,kn->{rest}n"
    draft.add("Einsum", [x, draft.weights((depth, draft.number(1, 4)), 0.4)], equation=equation)


def integer_product(draft: Draft) -> None:
    """Multiply codes with integers, and make numbers of the sums."""
    if draft.dtype != np.float32:
        raise UnfitError
    x = draft.choose(n for n in draft.grids if draft.values[n].ndim in (2, 4))
    zero = draft.grids[x][1]
    shape = draft.shape(x)
    if len(shape) == 4:
        op, size, attributes = "ConvInteger", (3, shape[1], 3, 3), {"pads": [1] * 4}
    else:
        op, size, attributes = "MatMulInteger", (shape[1], 4), {}
    weights = draft.constant(draft.random.integers(-50, 51, size), np.int8)
    [sums] = draft.add(op, [x, weights, zero], **attributes)
    [values] = draft.add("Cast", [sums], to=1)
    draft.add("Mul", [values, draft.constant(np.array(0.001))])


def product_of_codes(draft: Draft) -> None:
    """Multiply codes with codes."""
    x = draft.choose(n for n in draft.grids if draft.values[n].ndim in (2, 3, 4))
    scale, zero = draft.grids[x]
    weights = draft.random.integers(-50, 51, (draft.shape(x)[-1], 3))
    result = (
        draft.constant(np.array(0.05), np.float32),
        draft.constant(np.array(5), zero_type(draft, x)),
    )
    [codes] = draft.add(
        "QLinearMatMul",
        [
            *(x, scale, zero, draft.constant(weights, np.int8)),
            draft.constant(np.array(0.01), np.float32),
            draft.constant(np.array(0), np.int8),
            *result,
        ],
    )
    draft.grids[codes] = result
    draft.add("DequantizeLinear", [codes, *result])


def zero_type(draft: Draft, codes: str) -> np.dtype[np.generic]:
    """Return the type of codes."""
    return draft.values[codes].dtype


RECIPES = (
    *(recurrent, recurrent, grid_sample, gather_elements, index, pooled_with_indices),
    *(along_an_axis, einsum),
)
ON_CODES = (integer_product, product_of_codes)
