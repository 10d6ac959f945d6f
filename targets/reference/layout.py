"""Operators that move elements and compute nothing."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from math import prod

import numpy as np

from condense_compiler.errors import ContractError
from condense_compiler.operators.aliasing import aliases_of
from condense_compiler.operators.byte_moves import Move, order_of_moves
from condense_compiler.operators.moving import Blocks, Dropout, Transpose
from condense_compiler.operators.parts import Concat, Gather, Slice, Split, as_slice
from condense_compiler.operators.registry import parse
from condense_compiler.targets.reference.blocks import BLOCK_ELEMENTS
from condense_compiler.targets.reference.kernel import Array, Kernel, NodeContext


def _store(target: Array, value: Array) -> None:
    """Copy, unless the plan has put both at the same place."""
    if not _is_same(target, value):
        np.copyto(target, value)


def _is_same(one: Array, other: Array) -> bool:
    """Tell whether two are the same elements in the same order."""
    if one.__array_interface__["data"] != other.__array_interface__["data"]:
        return False
    # How far it is to the next of a single element says nothing.
    steps = zip(one.shape, one.strides, other.strides, strict=True)
    return one.shape == other.shape and all(a == b for size, a, b in steps if size > 1)


def _moving(move: Callable[[Array], Array]) -> Kernel:
    """Return the kernel of an operator whose output is a view of its first input."""

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        _store(outputs[0], move(inputs[0]))

    return Kernel(compute)


def reshape(context: NodeContext) -> Kernel:
    """Prepare any operator that keeps all elements in their order."""
    shape = context.output_shape()
    return _moving(lambda x: x.reshape(shape))


def transpose(context: NodeContext) -> Kernel:
    """Prepare Transpose."""
    order = context.read(Transpose).permutation
    return _moving(lambda x: x.transpose(order))


def expand(context: NodeContext) -> Kernel:
    """Prepare Expand."""
    shape = context.output_shape()
    return _moving(lambda x: np.broadcast_to(x, shape))


def slice_(context: NodeContext) -> Kernel | None:
    """Prepare Slice."""
    taken = context.read(Slice).taken
    if taken is None:
        return None
    index = tuple(map(as_slice, taken))
    return _moving(lambda x: x[index])


def concat(context: NodeContext) -> Kernel:
    """Prepare Concat."""
    if aliases_of(context.node):
        return _stretch_by_stretch(context)
    axis = context.read(Concat).axis

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        begin = 0
        for part in inputs:
            end = begin + part.shape[axis]
            _store(outputs[0][(slice(None),) * axis + (slice(begin, end),)], part)
            begin = end

    return Kernel(compute)


def _stretch_by_stretch(context: NodeContext) -> Kernel:
    """Prepare a Concat whose parts are whole stretches of memory, which the result may meet."""
    sizes = [prod(context.shape(index)) for index in range(len(context.node.inputs))]
    ends = list(accumulate(sizes))
    itemsize = context.dtype().itemsize

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        whole = outputs[0].reshape(-1)
        slots = [whole[end - size : end] for size, end in zip(sizes, ends, strict=True)]
        parts = [part.reshape(-1) for part in inputs]
        moves = [
            Move(_address(part), _address(slot), size * itemsize)
            for part, slot, size in zip(parts, slots, sizes, strict=True)
        ]
        order = order_of_moves(moves)
        if order is None:
            raise ContractError(f"node {context.node.name!r}: its parts lie in each other's way")
        for index in order:
            _move_blocks(parts[index], slots[index], moves[index])

    return Kernel(compute, temporary_bytes=min(max(sizes), BLOCK_ELEMENTS) * itemsize)


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _move_blocks(source: Array, target: Array, move: Move) -> None:
    """Copy, away from where the target meets the source, so that each block is read in time."""
    if move.source == move.target:
        return
    starts = range(0, len(source), BLOCK_ELEMENTS)
    for start in starts if move.target < move.source else reversed(starts):
        block = slice(start, start + BLOCK_ELEMENTS)
        np.copyto(target[block], source[block])


def split(context: NodeContext) -> Kernel:
    """Prepare Split; the outputs' shapes say where."""
    axis = context.read(Split).axis

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        begin = 0
        for part in outputs:
            end = begin + part.shape[axis]
            _store(part, inputs[0][(slice(None),) * axis + (slice(begin, end),)])
            begin = end

    return Kernel(compute)


def gather(context: NodeContext) -> Kernel:
    """Prepare Gather; negative indices count from the end."""
    axis = context.read(Gather).axis

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        data, indices = inputs
        wrapped = np.where(indices < 0, indices + data.shape[axis], indices)
        # Without a mode, numpy would gather into a copy of the output.
        np.take(data, wrapped, axis=axis, out=outputs[0], mode="clip")

    return Kernel(compute, temporary_bytes=3 * prod(context.shape(1)) * 8)


def depth_to_space(context: NodeContext) -> Kernel:
    """Prepare DepthToSpace: channels become pixels."""
    batch, channels, height, width = context.shape()
    operator = context.read(Blocks)
    block, crd = operator.size, operator.by_column
    left = channels // block**2
    parts = (left, block, block) if crd else (block, block, left)
    order = (0, 1, 4, 2, 5, 3) if crd else (0, 3, 4, 1, 5, 2)
    shape = (batch, left, height, block, width, block)
    return _through(lambda x: x.reshape(batch, *parts, height, width).transpose(order), shape)


def space_to_depth(context: NodeContext) -> Kernel:
    """Prepare SpaceToDepth: pixels become channels."""
    batch, channels, height, width = context.shape()
    operator = context.read(Blocks)
    block, crd = operator.size, operator.by_column
    rows, columns = height // block, width // block
    parts = (batch, channels, rows, block, columns, block)
    order = (0, 1, 3, 5, 2, 4) if crd else (0, 3, 5, 1, 2, 4)
    shape = tuple(parts[axis] for axis in order)
    return _through(lambda x: x.reshape(parts).transpose(order), shape)


def _through(move: Callable[[Array], Array], shape: Sequence[int]) -> Kernel:
    """Return the kernel of an operator whose output, as another shape, is a view of its input."""

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        np.copyto(outputs[0].reshape(shape), move(inputs[0]))

    return Kernel(compute)


def dropout(context: NodeContext) -> Kernel | None:
    """Prepare Dropout of a network that is not being trained."""
    if not isinstance(parse(context.node, context.known), Dropout):
        return None

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        _store(outputs[0], inputs[0])
        for mask in outputs[1:]:
            mask.fill(1)

    return Kernel(compute)


BUILDERS = {
    "Concat": concat,
    "DepthToSpace": depth_to_space,
    "Dropout": dropout,
    "Expand": expand,
    "Flatten": reshape,
    "Gather": gather,
    "Identity": reshape,
    "Reshape": reshape,
    "Slice": slice_,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": reshape,
    "Transpose": transpose,
    "Unsqueeze": reshape,
}
