"""Writes docs/operators.md: what is known of each operator, from its definition."""

from collections.abc import Iterable

import onnx_graphsurgeon as gs
from kit.operator_cases import CASES

from condense_compiler.operators.definition import Definition, Operator
from condense_compiler.operators.registry import FAMILIES, parse
from condense_compiler.passes.tracing.trace import RULES as TRACED
from condense_compiler.targets.accelerator.integer.lowering import RULES as LOWERED
from condense_compiler.targets.reference.operators import BUILDERS

INTRODUCTION = """\
# Operators

What the compiler knows of each operator, as its definition in `condense_compiler/operators/` says
(see [architecture](architecture.md#what-an-operator-is)). Any other operator is foreign and gets
the safe answers: it shares no memory, needs all of its inputs, and is computed by ONNX Runtime.
`python docs/make_pages.py` writes this page.

- *moves*: it moves values, or chooses among them, and therefore moves quantised values as well.
- *shares*: input and result may be the same memory, or part of each other.
- *rows*: it is known which rows of the input some rows of the result need.
- *MAC*: multiply-accumulates are counted.
- *traced*: what it does to channels is understood, so it may be part of a cross-channel pooling.
- *numpy*: the reference target has a kernel of its own; ONNX Runtime computes the others.
- *accelerator*: it runs in integers, within the limits of [the machine](accelerator.md); others
  are refused with their name.
"""

HEADER = """
| operator | moves | shares | rows | MAC | traced | numpy | accelerator |
|---|---|---|---|---|---|---|---|
"""


def page() -> str:
    """Return the page."""
    return INTRODUCTION + "".join(_family(name, known) for name, known in FAMILIES.items())


def _family(name: str, definitions: Iterable[Definition]) -> str:
    rows = sorted(_row(definition) for definition in definitions)
    return f"\n## {name.capitalize()}\n{HEADER}" + "".join(rows)


def _row(definition: Definition) -> str:
    """Return the row of an operator; what depends on attributes counts if it holds for some."""
    op, domain = definition.op, definition.domain
    parsed = [_parsed(case.model()) for case in CASES if case.op == op and not domain]
    facts = (
        any(each.moved() for each in parsed),
        any(each.aliases() for each in parsed),
        _says_rows(parsed) or bool(domain),
        any(each.macs() for each in parsed) or op.endswith("ConvPool"),
        not domain and op in (*TRACED, "Conv", "QLinearConv"),
        (domain, op) in BUILDERS,
        (not domain and op in LOWERED) or op == "ConvPool",
    )
    name = f"{domain}::{op}" if domain else op
    return f"| `{name}` | {' | '.join('yes' if fact else '' for fact in facts)} |\n"


def _parsed(model: object) -> Operator:
    [node] = gs.import_onnx(model).nodes
    return parse(node)


def _says_rows(parsed: Iterable[Operator]) -> bool:
    return any(each.rows(range(1, 2)) is not None for each in parsed)
