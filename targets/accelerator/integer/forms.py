"""How ONNX Runtime computes an operator between feature maps that are quantised."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

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
    """

    on_values: bool = False
    signed: bool = False
    order: str = "rows"
    adds_bias_codes: bool = False


ON_CODES = Form()

Forms = Mapping[str, Form]  # by name of the node; all others are computed on codes without sign


def to_facts(forms: Forms) -> dict[str, object]:
    """Return forms as they stand in a report: what is not usual of each."""
    usual = asdict(ON_CODES).items()
    return {name: dict(asdict(form).items() - usual) for name, form in forms.items()}


def from_facts(facts: object) -> Forms:
    """Read forms back.

    Raises:
        InputError: They are none.
    """
    if not isinstance(facts, Mapping):
        raise InputError("report.json: 'forms' is not an object; compile again")
    try:
        forms = {str(name): Form(**form) for name, form in facts.items()}
    except TypeError:
        raise InputError("report.json: 'forms' names what is not known; compile again") from None
    if any(form.order not in ORDERS for form in forms.values()):
        raise InputError(f"report.json: 'forms' with an order other than {', '.join(ORDERS)}")
    return forms
