"""All operators that are known, and the way from a node to what is true of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import onnx_graphsurgeon as gs

from condense_compiler.operators import (
    channel_pooling,
    convolution,
    moving,
    normalisation,
    parts,
    pointwise,
    pooling,
    product,
    reduction,
    resize,
)
from condense_compiler.operators.attributes import DEFAULT_DOMAINS, Array, Spelling
from condense_compiler.operators.channel_pooling import OnCodes
from condense_compiler.operators.definition import Definition, Kind, Moved, Operator, Rows
from condense_compiler.operators.elementwise import Program
from condense_compiler.operators.epilogue import EPILOGUE_OP, has_epilogue, producer_of
from condense_compiler.operators.fused import DOMAIN
from condense_compiler.operators.fused_elementwise import program_of


@dataclass(frozen=True, slots=True)
class WithEpilogue(Operator):
    """An operator with an element-wise program behind it.

    Attributes:
        producer: The operator.
        program: The program.
    """

    producer: Operator
    program: Program

    def macs(self) -> int:
        """Return those of the operator."""
        return self.producer.macs()

    def _rows(self, rows: range) -> Rows | None:
        return self.producer.rows(rows)


def _with_epilogue(given: Spelling) -> Operator:
    producer = parse(producer_of(given.node), given.known)
    return WithEpilogue(*given.tensors(), producer, program_of(given.node))


FAMILIES: Mapping[str, tuple[Definition, ...]] = {
    "convolution": convolution.DEFINITIONS,
    "pooling": pooling.DEFINITIONS,
    "fused": (
        *channel_pooling.DEFINITIONS,
        Definition(EPILOGUE_OP, Kind.FUSED, _with_epilogue, DOMAIN),
    ),
    "element-wise": pointwise.DEFINITIONS,
    "moving": (*moving.DEFINITIONS, *parts.DEFINITIONS, *resize.DEFINITIONS),
    "reduction": reduction.DEFINITIONS,
    "product": product.DEFINITIONS,
    "normalisation": normalisation.DEFINITIONS,
}
DEFINITIONS: Mapping[tuple[str, str], Definition] = {
    (definition.domain, definition.op): definition
    for definitions in FAMILIES.values()
    for definition in definitions
}

_MAY_MOVE = (Kind.MOVED, Kind.POOLING)  # maxima are values that are read
_UNKNOWN = {
    domain: Definition("", Kind.FUSED if domain == DOMAIN else Kind.OTHER)
    for domain in (DOMAIN, "")
}
Record = TypeVar("Record", bound=Operator)

_NOTHING_KNOWN: Mapping[str, Array] = {}


def definition_of(node: gs.Node) -> Definition:
    """Return what is true of all nodes of an operator; the safe answers for an unknown one."""
    if has_epilogue(node):
        return _definition_with_epilogue(node)
    domain = "" if node.domain in DEFAULT_DOMAINS else node.domain
    unknown = _UNKNOWN.get(domain, _UNKNOWN[""])
    return DEFINITIONS.get((domain, node.op), unknown)


def _definition_with_epilogue(node: gs.Node) -> Definition:
    """Return what is true of an operator and the program behind it."""
    functions = [DEFINITIONS["", each.op] for each in program_of(node).instructions]
    return Definition(
        EPILOGUE_OP,
        definition_of(producer_of(node)).kind,
        _with_epilogue,
        DOMAIN,
        around_one=any(function.around_one for function in functions),
    )


def without_epilogue(node: gs.Node) -> Operator:
    """Return what a node is, but for its epilogue."""
    return parse(producer_of(node))


def parse(node: gs.Node, known: Mapping[str, Array] = _NOTHING_KNOWN) -> Operator:
    """Return what a node is.

    Args:
        node: Its tensors have static shapes.
        known: Values of tensors that are no constants but known all the same, by name.
    """
    return definition_of(node).parse(Spelling(node, known))


def parse_as(
    record: type[Record], node: gs.Node, known: Mapping[str, Array] = _NOTHING_KNOWN
) -> Record:
    """Return a node of a known type as the record of that type; see `parse`."""
    operator = parse(node, known)
    assert isinstance(operator, record), node.op
    return operator


def moved(node: gs.Node) -> Moved | None:
    """Return what a node moves; None if it does anything else."""
    return parse(node).moved() if definition_of(node).kind in _MAY_MOVE else None


def kind_of(node: gs.Node) -> Kind:
    """Return what a node's results are drawn as."""
    operator = parse(node) if node.domain == DOMAIN else None
    if isinstance(operator, OnCodes):
        return DEFINITIONS["", operator.inner].kind
    return definition_of(node).kind
