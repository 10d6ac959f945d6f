"""Operators whose result may take the place of a map that they read, element by element."""

from collections.abc import Mapping

from condense_compiler.targets.accelerator.integer.network import (
    Binary,
    IntegerNetwork,
    Lookup,
    Map,
    Operator,
)


def replaceable(operator: Operator) -> list[Map]:
    """Return the maps that the result may take the place of, if nothing reads them later.

    Both must have memory of their own, of the same shape.
    """
    output = operator.output
    if not isinstance(operator, Binary | Lookup) or output.parent is not None:
        return []
    return [m for m in operator.inputs if m.parent is None and m.shape == output.shape]


def overwriting(
    network: IntegerNetwork, alive: Mapping[Map, tuple[int, int]]
) -> dict[int, tuple[Map, Map]]:
    """Return, by step, the map that is replaced and the one that replaces it.

    Args:
        network: The network.
        alive: The half-open steps during which each map that owns memory is alive.
    """
    found: dict[int, tuple[Map, Map]] = {}
    for step, operator in enumerate(network.operators):
        result = operator.output
        ending = [m for m in replaceable(operator) if alive[m][1] == step + 1]
        if ending and alive[result][0] == step:
            found[step] = (ending[0], result)
    return found
