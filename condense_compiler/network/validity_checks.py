"""The checks of the table in `validity.py`, but for those of windows.

Each returns what is wrong with a call, or None; operands of which nothing is known pass.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from condense_compiler.network.calls import Call, Shape
from condense_compiler.network.validity_windows import vector_fault

Check = Callable[[Call], str | None]


def rank(least: int, most: int = 2**31) -> Check:
    """Return the check of the number of axes of the first operand."""

    def check(call: Call) -> str | None:
        shape = call.shape(0)
        if shape is None or least <= len(shape) <= most:
            return None
        wanted = f"{least}" if most == least else f"at least {least}"
        return f"its operand has {len(shape)} axes (shape {[*shape]}); it needs {wanted}"

    return check


def choice(attribute: str, *values: str) -> Check:
    """Return the check that a text is one of some; the first is the default."""

    def check(call: Call) -> str | None:
        value = call.text(attribute, values[0])
        if value in values:
            return None
        return f"{attribute} '{value}' does not exist; there are {', '.join(values)}"

    return check


def axis_of(attribute: str = "axis", above: int = 0, operand: int | None = None) -> Check:
    """Check that an axis, an attribute or an operand, is one of the first operand's."""

    def check(call: Call) -> str | None:
        shape, axes = call.shape(0), call.integers(attribute, operand)
        if shape is None or axes is None:
            return None
        rank = len(shape) + above
        wrong = [axis for axis in axes if not -rank <= axis < rank]
        return f"axis {wrong[0]} is out of range: there are {rank} axes" if wrong else None

    return check


def per_channel(name: str, index: int) -> Check:
    """Return the check that an operand has a number for each channel."""

    def check(call: Call) -> str | None:
        shape = call.shape(0)
        if shape is None or len(shape) < 2:
            return None
        return vector_fault(call, index, name, shape[1])

    return check


def scalar(name: str, index: int) -> Check:
    """Return the check that an operand is one number."""
    return lambda call: vector_fault(call, index, name, 1)


def broadcasts_into(shape: Shape, other: Shape) -> bool:
    """Tell whether a tensor broadcasts to exactly another shape."""
    if len(shape) > len(other):
        return False
    pairs = zip(reversed(shape), reversed(other), strict=False)
    return all(size in (1, wanted) for size, wanted in pairs)


def broadcasts(name: str, index: int) -> Check:
    """Return the check that an operand broadcasts to the first one."""

    def check(call: Call) -> str | None:
        shape, other = call.shape(0), call.shape(index)
        if shape is None or other is None or broadcasts_into(other, shape):
            return None
        return f"{name} of shape {[*other]} does not broadcast to the operand's, {[*shape]}"

    return check


def matrix_product(call: Call) -> str | None:
    """Check C of a Gemm."""
    left, right, addend = call.shape(0), call.shape(1), call.shape(2)
    if left is None or right is None or addend is None or len(left) != 2 or len(right) != 2:
        return None
    rows = left[1 if call.attributes.get("transA", 0) else 0]
    columns = right[0 if call.attributes.get("transB", 0) else 1]
    if broadcasts_into(addend, (rows, columns)):
        return None
    return f"C of shape {[*addend]} does not broadcast to the product's, {[rows, columns]}"


def reshaping(call: Call) -> str | None:
    """Check that a Reshape keeps the number of elements."""
    shape, asked = call.shape(0), call.integers("shape", 1)
    if shape is None or asked is None:
        return None
    if asked.count(-1) > 1 or min(asked, default=0) < -1:
        return f"cannot reshape to {asked}; sizes are positive, and one may be -1"
    sizes = list(asked)
    if not call.attributes.get("allowzero", 0):
        if any(not size and i >= len(shape) for i, size in enumerate(asked)):
            return f"cannot reshape {[*shape]} to {asked}; there is no axis to copy for a 0"
        sizes = [size or shape[i] for i, size in enumerate(asked)]
    elements, rest = math.prod(shape), math.prod(size for size in sizes if size != -1)
    if elements == rest or (-1 in sizes and rest and elements % rest == 0):
        return None
    return f"cannot reshape {[*shape]}, {elements} elements, to {asked}"


def transposition(call: Call) -> str | None:
    """Check that `perm` is a permutation."""
    shape, perm = call.shape(0), call.integers("perm")
    if shape is None or perm is None or sorted(perm) == list(range(len(shape))):
        return None
    return f"perm {perm} is no permutation of the {len(shape)} axes"


def blocks(call: Call, axes: Sequence[int], power: int) -> str | None:
    """Check that sizes are multiples of a power of the block size."""
    shape, block = call.shape(0), int(call.attributes.get("blocksize", 0))
    if block < 1:
        return f"blocksize {block} must be positive"
    if shape is None or len(shape) != 4 or not any(shape[a] % block**power for a in axes):
        return None
    return f"a map of shape {[*shape]} cannot be cut into blocks of {block}"


def padding(call: Call) -> str | None:
    """Check pads: their number, and how much they cut or repeat."""
    shape, pads = call.shape(0), call.integers("pads", 1)
    axes = call.integers("axes", 3)
    if shape is None or pads is None or (len(call.inputs) > 3 and axes is None):
        return None
    chosen = [*range(len(shape))] if axes is None else axes
    if len(pads) != 2 * len(chosen) or any(not -len(shape) <= a < len(shape) for a in chosen):
        return f"pads {pads} do not fit the {len(chosen)} axes {chosen} of a map of {[*shape]}"
    mode = call.text("mode", "constant")
    for i, axis in enumerate(chosen):
        size, around = shape[axis], (pads[i], pads[len(chosen) + i])
        if size + sum(around) < 0 or min(size, *(size + p for p in around)) < 0:
            return f"pads {pads} cut more than the {size} elements of axis {axis}"
        most = size - 1 if mode == "reflect" else size if mode == "wrap" else None
        if most is not None and max(around) > most:
            return f"pads {pads}: mode '{mode}' can add no more than {most} along axis {axis}"
    return None


def resizing(call: Call) -> str | None:
    """Check scales and sizes: one positive number for each axis, or for each of `axes`."""
    old = call.op == "Upsample" or call.opset < 11
    scales = call.values(1 if old else 2)
    if scales is None and old and "scales" in call.attributes:
        scales = np.atleast_1d(call.attributes["scales"])
    sizes = None if old else call.integers("sizes", 3)
    given = [*(scales.reshape(-1).tolist() if scales is not None else []), *(sizes or [])]
    wrong = [number for number in given if not 0 < number < math.inf]
    return f"cannot resize by {wrong[0]}; scales and sizes must be positive" if wrong else None


def gathering(call: Call) -> str | None:
    """Check that known indices are within the axis."""
    shape, indices = call.shape(0), call.values(1)
    axis = int(call.attributes.get("axis", 0))
    if not shape or indices is None or not indices.size:
        return None
    size = shape[axis]
    outside = indices[(indices < -size) | (indices >= size)]
    return f"index {outside[0]} is out of range: axis {axis} has {size}" if outside.size else None


_FIRST_WITH_AXES = 13  # opset of DequantizeLinear


def quantisation(call: Call) -> str | None:
    """Check scale and zero point of QuantizeLinear and DequantizeLinear."""
    shape, scale, zero = call.shape(0), call.shape(1), call.shape(2)
    if scale is not None and zero is not None and math.prod(scale) != math.prod(zero):
        return f"scale has shape {[*scale]}, but the zero point {[*zero]}"
    if shape is None or scale is None or not scale or int(call.attributes.get("block_size", 0)):
        return None
    axis = int(call.attributes.get("axis", 1))
    if scale == (1,):
        return None
    if call.opset < _FIRST_WITH_AXES and len(scale) == 1 and scale[0] in shape:
        return None  # which axis it is of is found once the network is lifted
    if len(scale) != 1 or not -len(shape) <= axis < len(shape) or scale[0] != shape[axis]:
        return f"scale of shape {[*scale]} fits no axis {axis} of a map of {[*shape]}"
    return None


def batch_norm(call: Call) -> str | None:
    """Check the parameters, one number for each channel, or before opset 9 for each element."""
    shape = call.shape(0)
    if shape is None or len(shape) < 2 or not call.attributes.get("spatial", 1):
        return None
    names = ("scale", "bias", "mean", "variance")
    faults = (vector_fault(call, i, name, shape[1]) for i, name in enumerate(names, start=1))
    return next((fault for fault in faults if fault), None)


def layer_norm(call: Call) -> str | None:
    """Check that scale and bias broadcast."""
    shape = call.shape(0)
    axis = int(call.attributes.get("axis", -1))
    if shape is None or not -len(shape) <= axis < len(shape):
        return None
    for index, name in ((1, "scale"), (2, "bias")):
        other = call.shape(index)
        if other is not None and not broadcasts_into(other, shape):
            return f"{name} of shape {[*other]} does not broadcast to {[*shape]}"
    return None


def group_norm(call: Call) -> str | None:
    """Check groups, and scale and bias, which opset 21 has for each channel."""
    shape, groups = call.shape(0), int(call.attributes.get("num_groups", 1))
    if shape is None or len(shape) < 2:
        return None
    if groups < 1 or shape[1] % groups:
        return f"num_groups {groups} does not divide {shape[1]} channels"
    length = groups if call.opset < 21 else shape[1]
    return vector_fault(call, 1, "scale", length) or vector_fault(call, 2, "bias", length)


def local_response(call: Call) -> str | None:
    """Check the size of an LRN."""
    size = int(call.attributes.get("size", 1))
    return None if size > 0 and size % 2 else f"size {size} must be odd and positive"


def norm_power(call: Call) -> str | None:
    """Check the power of an LpNormalization."""
    power = call.attributes.get("p", 2)
    return None if power in (1, 2) else f"p {power} is not supported; it must be 1 or 2"


def recurrent(gates: int, call: Call) -> str | None:
    """Check weights and biases against hidden_size and direction."""
    shape, hidden = call.shape(0), call.attributes.get("hidden_size")
    direction = call.text("direction", "forward")
    if direction not in ("forward", "reverse", "bidirectional"):
        return f"direction '{direction}' does not exist"
    if shape is None or len(shape) != 3 or hidden is None:
        return None
    if hidden < 1:
        return f"hidden_size {hidden} must be positive"
    directions = 2 if direction == "bidirectional" else 1
    batch_axis = 0 if call.attributes.get("layout", 0) else 1
    steps, batch = shape[1 - batch_axis], shape[batch_axis]
    state = (batch, directions, hidden) if batch_axis == 0 else (directions, batch, hidden)
    wanted: Mapping[int, tuple[str, Shape]] = {
        1: ("W", (directions, gates * hidden, shape[2])),
        2: ("R", (directions, gates * hidden, hidden)),
        3: ("B", (directions, 2 * gates * hidden)),
        4: ("sequence_lens", (batch,)),
        5: ("initial_h", state),
        6: ("initial_c", state),
        7: ("P", (directions, 3 * hidden)),
    }
    for index, (name, expected) in wanted.items():
        found = call.shape(index)
        if found is not None and found != expected:
            return f"{name} has shape {[*found]}, but {[*expected]} is needed for {steps} steps"
    return None


def one_hot(call: Call) -> str | None:
    """Check the depth."""
    depth = call.values(1)
    if depth is None or (depth.size == 1 and depth.reshape(-1)[0] > 0):
        return None
    return f"depth {depth.tolist()} must be one positive number"
