"""How ONNX Runtime computes an operator between feature maps that are quantised."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from condense_compiler.errors import InputError

# How the values of a window are added up: row by row, or column after column.
ORDERS = ("rows", "columns")


@dataclass(frozen=True, slots=True)
class Form:
    """How it computes an operator.

    Attributes:
        on_values: In floating point, on values that it quantises again; else on codes.
        signed: The codes have a sign.
        order: One of `ORDERS`, of additions in averages.
        adds_bias_codes: A bias is added to the sums in whole units of them: its codes, whatever
            their scale is.
        constant_scale: Value of one step of the constant that a map is joined with, if codes of
            both are; else 0.
        constant_zero: The code of zero of that constant, a signed code.
    """

    on_values: bool = False
    signed: bool = False
    order: str = "rows"
    adds_bias_codes: bool = False
    constant_scale: float = 0.0
    constant_zero: int = 0


ON_CODES = Form()

Forms = Mapping[str, Form]  # by name of the node; all others are computed on codes without sign


def to_facts(forms: Forms) -> dict[str, object]:
    """Return forms as they stand in a report: what is not usual of each."""
    usual = asdict(ON_CODES).items()
    return {name: dict(asdict(form).items() - usual) for name, form in forms.items()}


def _numbers(form: Form) -> dict[str, Any]:
    """Return the numbers of a form that was read; raises where they are none."""
    zero = int(form.constant_zero)
    return {"constant_scale": float(form.constant_scale), "constant_zero": zero}


def from_facts(facts: object) -> Forms:
    """Read forms back.

    Raises:
        InputError: They are none.
    """
    if not isinstance(facts, Mapping):
        raise InputError("report.json: 'forms' is not an object; compile again")
    try:
        forms = {str(name): Form(**form) for name, form in facts.items()}
        forms = {name: replace(f, **_numbers(f)) for name, f in forms.items()}
    except (TypeError, ValueError):
        raise InputError("report.json: 'forms' names what is not known; compile again") from None
    if any(form.order not in ORDERS for form in forms.values()):
        raise InputError(f"report.json: 'forms' with an order other than {', '.join(ORDERS)}")
    return forms
