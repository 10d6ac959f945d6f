"""How ONNX Runtime computes an operator between feature maps that are quantised."""

from collections.abc import Mapping
from dataclasses import dataclass

# How the values of a window are added up: row by row, or column after column.
ORDERS = ("rows", "columns")


@dataclass(frozen=True, slots=True)
class Form:
    """How it computes an operator.

    Attributes:
        on_values: In floating point, on values that it quantises again; else on codes.
        signed: The codes have a sign.
        order: One of `ORDERS`, of additions in averages.
    """

    on_values: bool = False
    signed: bool = False
    order: str = "rows"


ON_CODES = Form()

Forms = Mapping[str, Form]  # by name of the node; all others are computed on codes without sign
