"""Cross-channel pooling as an operator of its own: for machines without a unit for it.

The wide maps are stored. Since the channels of a row follow each other in memory, a group of
channels is a window of rows of a map that has one channel, which the pooling of pixels can do.
"""

from dataclasses import replace

from condense_compiler.errors import UnsupportedError
from condense_compiler.operators.fused import Window
from condense_compiler.targets.accelerator.integer.arithmetic import Array, look_up
from condense_compiler.targets.accelerator.integer.network import (
    Convolution,
    IntegerNetwork,
    Map,
    Operator,
    SpatialPooling,
    Table,
)
from condense_compiler.targets.accelerator.integer.rows import sums_shape

_MIRRORED = Table(tuple(range(127, -129, -1)))  # turns the smallest code into the largest


def separate_spatial(network: IntegerNetwork) -> IntegerNetwork:
    """Return a network in which no convolution pools pixels: un-pooled maps are stored."""
    parts = (part for operator in network.operators for part in _separate(operator, of_pixels=True))
    return IntegerNetwork(tuple(parts), network.inputs, network.outputs)


def separate_pooling(network: IntegerNetwork) -> IntegerNetwork:
    """Return a network in which no convolution pools: wide maps are stored, then pooled.

    Raises:
        UnsupportedError: Pooling by l2 or by rank takes the unit.
    """
    operators = [part for operator in network.operators for part in _separate(operator)]
    return IntegerNetwork(tuple(operators), network.inputs, network.outputs)


def _separate(operator: Operator, *, of_pixels: bool = False) -> list[Operator]:
    if not isinstance(operator, Convolution):
        return [operator]
    parts: list[Operator] = [_copy(operator)]
    output, table, spatial = operator.output, operator.table, operator.spatial
    if operator.pooling is not None and not of_pixels:
        parts = _pool_separately(operator, table)
    if spatial is not None:
        stored = Map(f"{operator.name}/unpooled", _before_spatial(operator), 1.0, output.zero)
        _redirect(parts[-1], stored)
        if isinstance(parts[0], Convolution):
            parts[0] = _copy(parts[0], spatial=None)
        parts.append(SpatialPooling(f"{operator.name}/spatial", (stored,), output, window=spatial))
    return parts


def _before_spatial(operator: Convolution) -> tuple[int, int, int]:
    return (operator.output.shape[0], *sums_shape(operator))


def _redirect(operator: Operator, stored: Map) -> None:
    channels, height, width = stored.shape
    seen_as_rows = isinstance(operator, SpatialPooling)
    operator.output = (
        Map(f"{stored.name}/rows", (1, height * channels, width), 1.0, stored.zero, stored)
        if seen_as_rows
        else stored
    )


def _copy(operator: Convolution, **changes: object) -> Convolution:
    return replace(operator, **changes)  # type: ignore[arg-type]  # fields of a Convolution


def _pool_separately(operator: Convolution, table: Table | None) -> list[Operator]:
    pooling = operator.pooling
    assert pooling is not None
    if pooling.reduction in ("l2", "ranked"):
        reduction = "rank" if pooling.reduction == "ranked" else pooling.reduction
        raise UnsupportedError(
            f"{operator.name}: cross-channel pooling by {reduction}, and the machine has no unit "
            "for it"
        )
    height, width = sums_shape(operator)
    wide = Map(f"{operator.name}/wide", (len(operator.weights), height, width), 1.0, pooling.zero)
    inner = operator.inner_table
    if pooling.reduction == "min":
        inner, table = _composed(inner, _MIRRORED), _composed(_MIRRORED, table)
    convolution = _copy(
        operator, output=wide, table=inner, inner_table=None, pooling=None, spatial=None
    )
    window, rows = pooling.window, height * len(operator.weights)
    source = Map(f"{wide.name}/rows", (1, rows, width), 1.0, wide.zero, wide)
    shape = (1, rows // window, width)
    result = Map(f"{operator.name}/rows", shape, 1.0, 0, operator.output)
    pool = SpatialPooling(
        f"{operator.name}/pooling",
        (source,),
        result,
        table,
        kind="max" if pooling.averaging is None else "average",
        window=Window((window, 1), (window, 1), (0, 0, 0, 0), (1, 1)),
        averaging=pooling.averaging,
    )
    return [convolution, pool]


def _composed(first: Table | None, second: Table | None) -> Table | None:
    if first is None or second is None:
        return first or second
    codes: Array = look_up(first.array(), second.array())
    return Table(tuple(int(code) for code in codes))
