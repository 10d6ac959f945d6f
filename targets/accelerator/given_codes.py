"""The network as given, every element of its feature maps one code."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from condense_compiler.memory.buffers import Buffer
from condense_compiler.report.measure import Given
from condense_compiler.report.records import OperatorRecord

# What these operators write are the codes that they read: the machine has nothing to do.
_QUANTISING = frozenset(("QuantizeLinear", "DequantizeLinear"))


def in_codes(given: Given) -> Given:
    """Return a network as given, its feature maps stored as codes; traffic is that of maps alone.

    Operator by operator in its own order; operators that only quantise are left out.
    """
    operators = tuple(_operators(given))
    used = {name for o in operators for name in (*o.reads, *o.writes)}
    computed = {name for operator in given.operators for name in operator.writes}
    tensors = {
        name: replace(tensor, dtype="int8", size=math.prod(tensor.shape))
        for name, tensor in given.tensors.items()
        if name in used or name not in computed
    }
    held = _holders(given)
    outputs = frozenset(held[name] for name in given.outputs if name in held)
    sizes = {name: tensor.size for name, tensor in tensors.items()}
    return replace(
        given,
        buffers=list(_buffers(operators, sizes, outputs)),
        operators=operators,
        tensors=tensors,
        outputs=outputs,
        traffic_bytes=sum(
            sum(sizes[name] for name in {*operator.reads, *operator.writes})
            for operator in operators
        ),
    )


def _holders(given: Given) -> dict[str, str]:
    """Return, for each tensor, the map that holds its codes; weights have none."""
    computed = {name for operator in given.operators for name in operator.writes}
    held = {name: name for name in given.tensors if name not in computed}
    for operator in given.operators:
        if operator.op not in _QUANTISING:
            held |= {name: name for name in operator.writes}
            continue
        sources = [held[name] for name in operator.reads if name in held]
        held |= dict.fromkeys(operator.writes, sources[0]) if sources else {}
    return held


def _operators(given: Given) -> Iterator[OperatorRecord]:
    held = _holders(given)
    for operator in given.operators:
        if operator.op not in _QUANTISING:
            reads = dict.fromkeys(held[name] for name in operator.reads if name in held)
            yield replace(operator, reads=tuple(reads))


def _buffers(
    operators: tuple[OperatorRecord, ...], sizes: Mapping[str, int], outputs: Iterable[str]
) -> Iterator[Buffer]:
    """Yield a buffer for each map; inputs are there from the start, outputs stay to the end."""
    first = dict.fromkeys(sizes, 0)
    first |= {name: step for step, o in enumerate(operators) for name in o.writes}
    upper = {name: step + 1 for name, step in first.items()}
    upper |= {name: step + 1 for step, o in enumerate(operators) for name in o.reads}
    upper |= dict.fromkeys(outputs, max(len(operators), 1))
    for name, lower in first.items():
        yield Buffer(name, lower, upper[name], sizes[name])
