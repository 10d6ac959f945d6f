"""Cross-channel pooling as an operator of its own: for machines without a unit for it.

The wide maps are stored. Since the channels of a row follow each other in memory, a group of
channels is a window of rows of a map that has one channel, which the pooling of pixels can do.
"""

from dataclasses import replace

import numpy as np

from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.integer.arithmetic import look_up
from condense_compiler.targets.accelerator.integer.network import (
    MIRRORED,
    Convolution,
    IntegerNetwork,
    Lookup,
    Map,
    Operator,
    SpatialPooling,
    Table,
)
from condense_compiler.targets.accelerator.integer.refusals import OperatorError
from condense_compiler.targets.accelerator.integer.rows import sums_shape
from condense_compiler.targets.accelerator.isa.records import TABLE_BYTES


def separate_spatial(network: IntegerNetwork) -> IntegerNetwork:
    """Return a network in which no convolution pools pixels: un-pooled maps are stored."""
    parts = (part for operator in network.operators for part in _separate(operator, of_pixels=True))
    return IntegerNetwork(tuple(parts), network.inputs, network.outputs)


def separate_pooling(network: IntegerNetwork) -> IntegerNetwork:
    """Return a network in which no convolution pools: wide maps are stored, then pooled.

    Raises:
        OperatorError: Pooling by l2 or by rank takes the unit.
    """
    operators = [part for operator in network.operators for part in _separate(operator)]
    return IntegerNetwork(tuple(operators), network.inputs, network.outputs)


def _separate(operator: Operator, *, of_pixels: bool = False) -> list[Operator]:
    if not isinstance(operator, Convolution):
        return [operator]
    output, spatial, destination = operator.output, operator.spatial, operator.output
    if spatial is not None:
        shape = (output.shape[0], *sums_shape(operator))
        destination = Map(f"{operator.name}/unpooled", shape, 1.0, output.zero)
    if operator.pooling is None or of_pixels:
        parts: list[Operator] = [_copy(operator, output=destination, spatial=None)]
    else:
        parts = _pool_separately(operator, destination)
    if spatial is None:
        return parts
    name = f"{operator.name}/spatial"
    return [*parts, SpatialPooling(name, (destination,), output, window=spatial)]


def _copy(operator: Convolution, **changes: object) -> Convolution:
    return replace(operator, **changes)  # type: ignore[arg-type]  # fields of a Convolution


def _pool_separately(operator: Convolution, output: Map) -> list[Operator]:
    pooling, table = operator.pooling, operator.table
    assert pooling is not None
    if pooling.reduction in ("l2", "ranked"):
        reduction = "rank" if pooling.reduction == "ranked" else pooling.reduction
        raise OperatorError(
            operator.name,
            f"cross-channel pooling by {reduction}, and the machine has no unit for it",
        )
    height, width = sums_shape(operator)
    wide = Map(f"{operator.name}/wide", (len(operator.weights), height, width), 1.0, pooling.zero)
    inner = operator.inner_table
    if pooling.reduction == "min":
        inner, table = _composed(inner, MIRRORED), _composed(MIRRORED, table)
    convolution = _copy(
        operator, output=wide, table=inner, inner_table=None, pooling=None, spatial=None
    )
    window = pooling.window
    # Rows of one channel are those of a whole map, and know no channels.
    copied = output.parent is not None or (table is not None and table.per_channel)
    whole = Map(f"{operator.name}/pooled", output.shape, output.scale, output.zero)
    pool = SpatialPooling(
        f"{operator.name}/pooling",
        (wide.rows(),),
        (whole if copied else output).rows(),
        None if copied else table,
        kind="max" if pooling.averaging is None else "average",
        window=Window((window, 1), (window, 1), (0, 0, 0, 0), (1, 1)),
        averaging=pooling.averaging,
    )
    copy = [Lookup(f"{operator.name}/copy", (whole,), output, table)] if copied else []
    return [convolution, pool, *copy]


def _composed(first: Table | None, second: Table | None) -> Table | None:
    if first is None or second is None:
        return first or second
    codes, table = first.array(), second.array()
    channels = max(len(codes), len(table))
    return Table.of(look_up(np.broadcast_to(codes, (channels, TABLE_BYTES)), table))
