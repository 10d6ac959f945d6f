"""What an operator is: a record that a node is parsed into, and what the compiler asks of it.

Each family of operators has a file with its records and their definitions; `registry` sums them up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from condense_compiler.operators.attributes import Shape, Shapes, Spelling

# The first axis of pixels, along which rows are counted: (batch, channels, rows, ...).
ROW_AXIS = 2


class Kind(StrEnum):
    """What a feature map is, by the operator that writes it."""

    INPUT = "input"
    OUTPUT = "output"
    FUSED = "fused"
    CONVOLUTION = "convolution"
    POOLING = "pooling"
    ELEMENT_WISE = "element-wise"
    MOVED = "moved"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Alias:
    """All elements of the smaller of an input and an output are elements of the other.

    Attributes:
        input: Index of the input.
        output: Index of the output.
        shift: Position of the output minus position of the input, in elements.
    """

    input: int
    output: int
    shift: int


@dataclass(frozen=True, slots=True)
class Moved:
    """Each result is one of the values that an operator reads, or one that it fills in.

    What moves values moves quantised values as well, which mean the same all over a feature map
    and are in the same order.

    Attributes:
        inputs: Indices of the inputs whose values are moved.
        fill: Input that holds the value put where there is none; None if there is no such value.
        chooses: Which values are moved depends on which are larger.
    """

    inputs: range
    fill: int | None = None
    chooses: bool = False


# Rows of the inputs, by index. Inputs that are not named may be read as a whole: weights, and what
# is spread over the rows. None: any row of any input may be read.
Rows = Mapping[int, range]


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator with the answers that are safe for any.

    Attributes:
        op: Its type.
        inputs: Shapes of what it reads; None where an input is left out.
        outputs: Shapes of its results; None where an output is left out.
    """

    op: str
    inputs: Shapes
    outputs: Shapes

    @property
    def data(self) -> Shape:
        """The shape of the first input."""
        shape = self.inputs[0]
        assert shape is not None
        return shape

    @property
    def result(self) -> Shape:
        """The shape of the first output."""
        shape = self.outputs[0]
        assert shape is not None
        return shape

    def moved(self) -> Moved | None:
        """Return what is moved, if the operator does nothing but move values."""
        return None

    def aliases(self) -> list[Alias]:
        """Return how inputs and outputs may share memory without any work."""
        return []

    def keeps_input(self) -> bool:
        """Tell whether the result is the first input, shape included."""
        return False

    def separate_axes(self) -> int:
        """Return how many of the first axes are treated index by index, each index alike."""
        return 0

    def macs(self) -> int:
        """Return the multiply-accumulate operations."""
        return 0

    def rows(self, rows: range, output: int = 0) -> Rows | None:
        """Return which rows of the inputs consecutive rows of an output need."""
        shapes = self.inputs[0], self.outputs[output]
        have_rows = all(shape is not None and len(shape) > ROW_AXIS for shape in shapes)
        return self._rows(rows) if have_rows else None

    def _rows(self, _rows: range) -> Rows | None:
        return None


@dataclass(frozen=True, slots=True)
class Foreign(Operator):
    """An operator that nothing is known of."""


Parse = Callable[[Spelling], Operator]


def alone(record: type[Operator]) -> Parse:
    """Return how nodes are parsed of which the tensors say everything."""
    return lambda given: record(*given.tensors())


@dataclass(frozen=True, slots=True)
class Definition:
    """What is true of all nodes of an operator type, and how they are parsed.

    Attributes:
        op: The type.
        kind: What results are drawn as.
        parse: Makes a record of a node.
        domain: Empty for ONNX's own.
        around_one: Small results are differences of numbers around one, so that their last bits
            are those of one: a sigmoid of -20 is right to 1e-7, not to seven digits.
        keeps_steps: Results are some of what it reads, or means of it, so that what is read in
            steps of a size comes out no farther apart.
        not_negative: No result is less than zero.
        neutral: The second operand that leaves the first as it is.
    """

    op: str
    kind: Kind
    parse: Parse = lambda given: Foreign(*given.tensors())
    domain: str = ""
    around_one: bool = False
    keeps_steps: bool = False
    not_negative: bool = False
    neutral: float | None = None
