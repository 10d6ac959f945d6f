"""The fused operators of the domain `condense`."""

import math
from dataclasses import dataclass

from condense_compiler.operators.attributes import Shape, Spelling
from condense_compiler.operators.definition import (
    ROW_AXIS,
    Definition,
    Kind,
    Operator,
    Rows,
)
from condense_compiler.operators.elementwise import Program
from condense_compiler.operators.fused import DOMAIN, OP, ConvPool
from condense_compiler.operators.fused_elementwise import ELEMENTWISE_OP, program_of
from condense_compiler.operators.on_codes import (
    ELEMENT_WISE,
    INPUTS_OF_OPERAND,
    ON_CODES_OP,
)
from condense_compiler.operators.pointwise import broadcast_rows
from condense_compiler.operators.quantized import FILTERS, QUANTIZED_OP


@dataclass(frozen=True, slots=True)
class FusedConvolution(Operator):
    """A convolution with channel pooling, of numbers or of codes.

    Attributes:
        recipe: What it computes.
        filters: Shape of the filters.
    """

    recipe: ConvPool
    filters: Shape

    def macs(self) -> int:
        """Return one for each tap of each filter at each pixel of the virtual map."""
        pixels = self.recipe.convolution.output_shape(self.data[ROW_AXIS:])
        return self.data[0] * math.prod(pixels) * math.prod(self.filters)

    def _rows(self, rows: range) -> Rows | None:
        recipe, size = self.recipe, self.data[ROW_AXIS]
        if recipe.spatial is not None:
            rows = recipe.spatial.reads(0, rows, recipe.convolution.positions(0, size))
        return {0: recipe.convolution.reads(0, rows, size)}


@dataclass(frozen=True, slots=True)
class FusedElementwise(Operator):
    """An element-wise program of one map.

    Attributes:
        program: The program.
    """

    program: Program

    def _rows(self, rows: range) -> Rows | None:
        return {0: rows}


@dataclass(frozen=True, slots=True)
class OnCodes(Operator):
    """An operator on codes.

    Attributes:
        inner: The type of the operator that it stands for.
        operands: How many maps it reads.
        operand_axes: Along which each has scales, if there are several.
        axis: Along which it concatenates.
        epsilon: The small number of a normalisation.
        alpha: Factor of a product.
        beta: Factor of what is added to a product.
        transposes: Whether the factors of a product are transposed first.
    """

    inner: str
    operands: int
    operand_axes: Shape
    axis: int
    epsilon: float
    alpha: float
    beta: float
    transposes: tuple[bool, bool]

    def _rows(self, rows: range) -> Rows | None:
        if self.inner not in ELEMENT_WISE:
            return None
        indices = range(0, self.operands * INPUTS_OF_OPERAND, INPUTS_OF_OPERAND)
        maps = {index: self.inputs[index] or () for index in indices}
        return broadcast_rows(maps, self.result, rows)


def _fused(given: Spelling) -> Operator:
    position = FILTERS if given.op == QUANTIZED_OP else 1
    recipe = ConvPool.from_attributes(given.node.attrs)
    return FusedConvolution(*given.tensors(), recipe, given.shape(position))


def _program(given: Spelling) -> Operator:
    return FusedElementwise(*given.tensors(), program_of(given.node))


def _on_codes(given: Spelling) -> Operator:
    return OnCodes(
        *given.tensors(),
        inner=given.text("op", ""),
        operands=given.integer("operands", 1),
        operand_axes=given.integers("operand_axes") or (),
        axis=given.axis("axis", 1, len(given.result())),
        epsilon=given.number("epsilon", 1e-5),
        alpha=given.number("alpha", 1.0),
        beta=given.number("beta", 1.0),
        transposes=(bool(given.integer("transA", 0)), bool(given.integer("transB", 0))),
    )


DEFINITIONS = (
    Definition(OP, Kind.FUSED, _fused, DOMAIN),
    Definition(QUANTIZED_OP, Kind.FUSED, _fused, DOMAIN),
    Definition(ELEMENTWISE_OP, Kind.ELEMENT_WISE, _program, DOMAIN),
    Definition(ON_CODES_OP, Kind.ELEMENT_WISE, _on_codes, DOMAIN),
)
