"""Prepare Conv and condense::ConvPool: choose how they are computed, and pack their filters."""

from collections.abc import Sequence
from math import prod

from condense_compiler.operators.channel_pooling import FusedConvolution
from condense_compiler.operators.convolution import Convolution
from condense_compiler.operators.epilogue import producer_of
from condense_compiler.operators.function_body import operand_count
from condense_compiler.operators.fused import ConvPool
from condense_compiler.operators.fused_elementwise import program_of
from condense_compiler.operators.registry import parse_as
from condense_compiler.targets.reference.filters import (
    Block,
    crossing_block,
    depthwise_blocks,
    depthwise_sources,
    group_blocks,
    slot_members,
    stays_in_groups,
)
from condense_compiler.targets.reference.kernel import (
    ABSENT,
    ALIGNMENT_BYTES,
    Array,
    Kernel,
    Layout,
    NodeContext,
    compute_dtype,
    is_float,
)
from condense_compiler.targets.reference.programs import BoundProgram
from condense_compiler.targets.reference.setting_aside import setting_aside
from condense_compiler.targets.reference.striped import PackedBlock, StripedConvolution
from condense_compiler.targets.reference.stripes import (
    output_pixels,
    pooled_row_elements,
    stripes,
)
from condense_compiler.targets.reference.tiling import ConvolutionShape, Tiling, choose_tiling


def conv(context: NodeContext) -> Kernel | None:
    """Prepare a convolution: pooling over windows of one channel."""
    operator = context.read(Convolution)
    return _kernel(context, ConvPool(operator.window, operator.group, "max", 1))


def conv_with_epilogue(context: NodeContext) -> Kernel | None:
    """Prepare a convolution whose epilogue runs stripe by stripe, before the result is added up.

    Its operands must be single numbers or one for each channel.
    """
    operator = parse_as(Convolution, producer_of(context.node))
    epilogue = program_of(context.node)
    return _kernel(context, ConvPool(operator.window, operator.group, "max", 1, after=epilogue))


def conv_pool(context: NodeContext) -> Kernel | None:
    """Prepare a convolution with pooling."""
    return _kernel(context, context.read(FusedConvolution).recipe)


def _kernel(context: NodeContext, recipe: ConvPool) -> Kernel | None:
    if not is_float(context.dtype()):
        return None
    positions = range(1, len(context.node.inputs))
    known = [context.constant(i) if context.has_input(i) else ABSENT for i in positions]
    constants = [value for value in known if value is not None]
    ready = len(constants) == len(known)
    scheme = _scheme(context, recipe, _operands(recipe, constants) if ready else None)
    packed_ahead = _pack(scheme, constants) if ready else None

    def compute(inputs: Sequence[Array], outputs: Sequence[Array], scratch: Array) -> None:
        packed = _pack(scheme, inputs[1:]) if packed_ahead is None else packed_ahead
        for image, output in zip(inputs[0], outputs[0], strict=True):
            scheme.run(image, output, packed, scratch)

    # Filters that the network computes are packed when they are known; casting takes a copy more.
    packed_bytes = 0 if ready else 2 * prod(context.shape(1)) * scheme.dtype.itemsize
    return Kernel(compute, scheme.layout.buffer_bytes, scheme.temporary_bytes + packed_bytes)


def _pack(scheme: StripedConvolution, constants: Sequence[Array]) -> list[PackedBlock]:
    operands = _operands(scheme.recipe, constants)
    weights, *biases = constants[: len(constants) - len(operands)]
    bias = biases[0] if biases and biases[0].size else None
    return scheme.pack(weights, bias, operands)


def _operands(recipe: ConvPool, constants: Sequence[Array]) -> Sequence[Array]:
    """Return what the programs read, which is behind filters and bias."""
    return constants[len(constants) - operand_count(recipe) :]


def _scheme(
    context: NodeContext, recipe: ConvPool, operands: Sequence[Array] | None
) -> StripedConvolution:
    pixels = context.shape()[2:]
    members = slot_members(recipe, context.shape(1)[0])
    shape = _shape(context, recipe, members)
    tiling = choose_tiling(shape)
    dtype = compute_dtype(context.dtype())
    parts = stripes(recipe, pixels, tiling.rows)
    after_last = (
        recipe.spatial is not None
        and operands is not None
        and recipe.after.is_non_decreasing(operands[recipe.before.operand_count() :])
    )
    elements = shape.elements(tiling)
    return StripedConvolution(
        recipe=recipe,
        dtype=dtype,
        direct=not shape.unfolds and not shape.adds_taps,
        depthwise=shape.adds_taps,
        stores_wide=shape.stores_wide,
        after_last=after_last,
        accumulates=context.accumulates,
        rows_aside=shape.aside.rows_for(tiling.rows) if shape.aside else 0,
        inputs=tiling.inputs,
        blocks=_blocks(recipe, members, shape, tiling),
        stripes=parts,
        layout=Layout.of({name: ((size,), dtype) for name, size in elements.items()}),
        temporary_bytes=max(_temporary_bytes(recipe, dtype.itemsize), shape.moved_bytes(tiling)),
    )


def _shape(context: NodeContext, recipe: ConvPool, members: Array) -> ConvolutionShape:
    pixels = context.shape()[2:]
    stored, dtype = context.dtype(), compute_dtype(context.dtype())
    wide_channels, group_inputs = context.shape(1)[:2]
    channels = context.shape()[1]
    depthwise = _depthwise_sources(recipe, members, wide_channels, group_inputs) is not None
    crosses = not depthwise and not stays_in_groups(members, recipe.group, wide_channels)
    group_count = 1 if depthwise or crosses else recipe.group
    spatial = recipe.spatial
    output = output_pixels(recipe, pixels)
    between = pooled_row_elements(recipe, pixels)
    return ConvolutionShape(
        rows=output[0],
        row_pixels=prod(recipe.convolution.output_shape(pixels)[1:]),
        row_step=spatial.strides[0] if spatial else 1,
        row_reach=spatial.reach(0) if spatial else 1,
        group_count=group_count,
        group_inputs=group_inputs,
        group_outputs=len(members) // group_count,
        window=recipe.window,
        taps=prod(recipe.convolution.kernel_shape),
        unfolds=not depthwise and not (_is_pointwise(recipe) and stored == dtype),
        stores_wide=recipe.window > 1
        or spatial is not None
        or crosses
        or stored != dtype
        or context.accumulates,
        adds_taps=depthwise,
        gathers=crosses,
        blocks_channels=not crosses,
        pooled_row_elements=tuple(between),
        rounded_row_elements=prod(output[1:]) if spatial and stored != dtype else 0,
        sorts=recipe.reduction == "ordinal",
        itemsize=dtype.itemsize,
        fixed_bytes=_temporary_bytes(recipe, dtype.itemsize) + 8 * ALIGNMENT_BYTES,
        aside=setting_aside(recipe, channels, pixels) if 0 in context.overwrites else None,
    )


def _blocks(
    recipe: ConvPool, members: Array, shape: ConvolutionShape, tiling: Tiling
) -> list[Block]:
    wide_channels, inputs = members.size, shape.group_inputs
    sources = _depthwise_sources(recipe, members, wide_channels, inputs)
    if sources is not None:
        return depthwise_blocks(members, sources, tiling.outputs)
    if shape.gathers:
        return [crossing_block(members, recipe.group, inputs, wide_channels)]
    return group_blocks(members, recipe.group, inputs, tiling.outputs)


def _depthwise_sources(
    recipe: ConvPool, members: Array, wide_channels: int, group_inputs: int
) -> list[tuple[int, int]] | None:
    if group_inputs > 1 or recipe.group == 1:
        return None
    return depthwise_sources(members, wide_channels // recipe.group)


def _is_pointwise(recipe: ConvPool) -> bool:
    window = recipe.convolution
    return set(window.kernel_shape) == set(window.strides) == {1} and not any(window.pads)


def _temporary_bytes(recipe: ConvPool, itemsize: int) -> int:
    return max(BoundProgram(p, ()).scratch_bytes(itemsize) for p in (recipe.before, recipe.after))
