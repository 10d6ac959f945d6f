"""Element-wise operators, batch normalisation included, block by block."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from condense_compiler.operators.elementwise import Program
from condense_compiler.operators.fused_elementwise import program_of
from condense_compiler.operators.normalisation import BatchNormalization
from condense_compiler.operators.pointwise import Clip, Elementwise
from condense_compiler.targets.element_types import numpy_dtype
from condense_compiler.targets.reference.blocks import BLOCK_ELEMENTS, blocks
from condense_compiler.targets.reference.functions import FUNCTIONS, Function, temporaries
from condense_compiler.targets.reference.kernel import (
    ABSENT,
    HALF_TYPES,
    Array,
    Kernel,
    NodeContext,
    Shape,
    compute_dtype,
    is_float,
)
from condense_compiler.targets.reference.programs import run_block, scratch_arrays


def elementwise(context: NodeContext) -> Kernel | None:
    """Prepare an element-wise operator on floating-point maps."""
    attributes = context.read(Elementwise).settings
    if attributes is None or not is_float(context.dtype()):
        return None
    indices = range(len(context.node.inputs))
    if not all(context.has_input(i) and context.dtype(i) == context.dtype() for i in indices):
        return None
    return _in_blocks(context, FUNCTIONS[context.node.op], attributes)


def clip(context: NodeContext) -> Kernel | None:
    """Prepare Clip, whose bounds were attributes before opset 11 and may be left out."""
    if not is_float(context.dtype()):
        return None
    # What is left out is the largest number, which infinity is clipped to.
    infinity, zero = (np.asarray(value, context.dtype()) for value in (np.inf, 0))
    largest = float(np.nextafter(infinity, zero))
    if context.opset < 11:
        lower, upper = (limit or 0.0 for limit in context.read(Clip).limits)
        bounds = max(lower, -largest), min(upper, largest)
        return _in_blocks(context, lambda out, x: FUNCTIONS["Clip"](out, x, *bounds), {})

    def clip_to(out: Array, x: Array, *given: Array) -> None:
        bounds = zip((*given, ABSENT, ABSENT), (-largest, largest), strict=False)
        FUNCTIONS["Clip"](out, x, *(bound if bound.size else other for bound, other in bounds))

    return _in_blocks(context, clip_to, {})


def batch_normalization(context: NodeContext) -> Kernel | None:
    """Prepare batch normalisation: a factor and a shift for each channel."""
    operator = context.read(BatchNormalization)
    scaling = operator.scaling()
    if scaling is None or operator.trains or not is_float(context.dtype()):
        return None
    factors, shifts = channel_terms(context, scaling, compute_dtype(context.dtype()))
    block = _in_blocks(context, normalize, {})

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], scratch: Array) -> None:
        block.compute([inputs[0], factors, shifts], outputs, scratch)

    return Kernel(compute, temporary_bytes=block.temporary_bytes)


def channel_terms(
    context: NodeContext, terms: Sequence[Array], dtype: np.dtype[Any]
) -> list[Array]:
    """Return what there is one of for each channel of the first input as (channels, 1, ...)."""
    shape = (-1, *(1,) * (len(context.shape()) - 2))
    return [term.astype(dtype).reshape(shape) for term in terms]


def normalize(out: Array, x: Array, factors: Array, shifts: Array) -> None:
    """Scale and shift the channels of a map."""
    np.multiply(x, factors, out=out)
    np.add(out, shifts, out=out)


def _in_blocks(
    context: NodeContext, function: Function, attributes: Mapping[str, object]
) -> Kernel:
    half = context.dtype().name in HALF_TYPES
    dtype = compute_dtype(context.dtype())

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        # Of an array without axes, numpy makes scalars, which take no results.
        output = np.atleast_1d(outputs[0])
        spread = [np.broadcast_to(x, output.shape) if x.size else x for x in inputs]
        for index in blocks(output.shape):
            arguments = [x[index] if x.size else x for x in spread]
            if half:
                result = np.empty(output[index].shape, dtype)
                function(result, *(x.astype(dtype) for x in arguments), **attributes)
                np.copyto(output[index], result, casting="unsafe")
            else:
                function(output[index], *arguments, **attributes)

    elements = min(prod(context.output_shape()), BLOCK_ELEMENTS)
    held = temporaries(context.node.op) + half * (1 + len(context.node.inputs))
    return Kernel(compute, temporary_bytes=elements * held * dtype.itemsize)


def program(context: NodeContext) -> Kernel:
    """Prepare condense::Elementwise: a program, block by block, rounded where operators round."""
    steps = program_of(context.node)
    shapes = [context.shape(index) for index in range(1, len(context.node.inputs))]

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], _scratch: Array) -> None:
        run_program(steps, inputs[0], outputs[0], inputs[1:])

    return Kernel(compute, temporary_bytes=program_bytes(steps, context, shapes))


def run_program(steps: Program, source: Array, target: Array, operands: Sequence[Array]) -> None:
    """Apply a program to a map, block by block.

    Args:
        steps: The instructions, one at least.
        source: The map.
        target: Gets the result, of the same shape and type; may be the map.
        operands: One for each `$i`, of shapes that broadcast to the map's.
    """
    stored, dtype = target.dtype, compute_dtype(target.dtype)
    half = stored != dtype
    # Of an array without axes, numpy makes scalars, which take no results.
    output = np.atleast_1d(target)
    data = np.broadcast_to(source, output.shape)
    spread = [np.broadcast_to(o.astype(dtype), output.shape) for o in operands]
    for index in blocks(output.shape):
        block = data[index].astype(dtype) if half else data[index]
        result = np.empty(block.shape, dtype) if half else output[index]
        run_block(steps, block, result, [o[index] for o in spread], stored)
        if half:
            np.copyto(output[index], result, casting="unsafe")


def program_bytes(steps: Program, context: NodeContext, operand_shapes: Sequence[Shape]) -> int:
    """Return the most that `run_program` allocates at one time on the result of a node."""
    stored = numpy_dtype(context.node.outputs[0])
    dtype = compute_dtype(stored)
    elements = min(prod(context.output_shape()), BLOCK_ELEMENTS)
    held = scratch_arrays(steps) + (stored != dtype) * 3
    return (elements * held + sum(map(prod, operand_shapes))) * dtype.itemsize


BUILDERS = {
    **dict.fromkeys(FUNCTIONS, elementwise),
    "BatchNormalization": batch_normalization,
    "Clip": clip,
}
