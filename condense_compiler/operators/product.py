"""Products of matrices. Source: ONNX operator specification."""

import math
from dataclasses import dataclass

from condense_compiler.operators.attributes import Spelling
from condense_compiler.operators.definition import Definition, Kind, Operator, alone


@dataclass(frozen=True, slots=True)
class Gemm(Operator):
    """`alpha A B + beta C`.

    Attributes:
        alpha: Factor of the product.
        beta: Factor of what is added.
        transposes: Whether A and B are transposed first.
    """

    alpha: float
    beta: float
    transposes: tuple[bool, bool]

    def macs(self) -> int:
        """Return one for each element of A and column of B."""
        return math.prod(self.result) * self.data[0 if self.transposes[0] else 1]


@dataclass(frozen=True, slots=True)
class MatrixProduct(Operator):
    """MatMul and its kin."""

    def macs(self) -> int:
        """Return one for each element of a row of the first, for each result."""
        return math.prod(self.result) * self.data[-1]


@dataclass(frozen=True, slots=True)
class Einsum(Operator):
    """A sum of products.

    Attributes:
        equation: Without blanks.
    """

    equation: str


def _gemm(given: Spelling) -> Operator:
    transposes = bool(given.integer("transA", 0)), bool(given.integer("transB", 0))
    return Gemm(*given.tensors(), given.number("alpha", 1.0), given.number("beta", 1.0), transposes)


def _einsum(given: Spelling) -> Operator:
    return Einsum(*given.tensors(), given.text("equation", "").replace(" ", ""))


_PARSERS = {
    "Einsum": _einsum,
    "Gemm": _gemm,
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul"), alone(MatrixProduct)),
}
DEFINITIONS = tuple(Definition(op, Kind.CONVOLUTION, parse) for op, parse in _PARSERS.items())
