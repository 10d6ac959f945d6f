"""Random networks in integers, for whatever places, writes and runs them."""

import numpy as np
from hypothesis import strategies as st

from condense_compiler.operators.window import Window
from condense_compiler.targets.accelerator.integer.network import (
    Binary,
    Convolution,
    IntegerNetwork,
    Lookup,
    Map,
    Operator,
    Port,
    Scaling,
    SpatialPooling,
    Table,
)
from condense_compiler.targets.accelerator.isa.records import JOININGS, Joining


class Drawing:
    """Draws a network, operator by operator."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        channels, height, width = draw(st.integers(1, 5)), draw(st.integers(3, 9)), 5
        self.maps = [Map("x", (channels, height, width), 0.5, 3)]
        self.operators: list[Operator] = []

    def network(self, operators: int) -> IntegerNetwork:
        """Return a network of so many operators, its last map the output."""
        for number in range(operators):
            source = self.draw(st.sampled_from(self.maps[-3:]))
            kinds = [self.convolve, self.look_up, self.pool, self.concatenate]
            same = [m for m in self.maps if m.shape == source.shape and m is not source]
            if same:
                kinds.append(self.add)
            self.draw(st.sampled_from(kinds))(f"op{number}", source)
        last = self.maps[-1]
        inputs = {"x": Port(self.maps[0], (1, *self.maps[0].shape))}
        return IntegerNetwork(tuple(self.operators), inputs, {"y": Port(last, (1, *last.shape))})

    def output(self, operator: Operator, shape: tuple[int, int, int]) -> None:
        """Add an operator and the map that it writes."""
        operator.output = Map(operator.name, shape, 0.5, -2)
        self.operators.append(operator)
        self.maps.append(operator.output)

    def convolve(self, name: str, source: Map) -> None:
        """Add a convolution of one or nine taps."""
        wide, size = self.draw(st.integers(1, 6)), self.draw(st.sampled_from([1, 3]))
        pad = size // 2
        operator = Convolution(
            name,
            (source,),
            source,
            weights=self.generator.integers(-9, 9, (wide, source.shape[0], size, size), np.int8),
            weight_zeros=np.zeros(wide, np.int8),
            bias=self.generator.integers(-99 << 16, 99 << 16, wide),
            window=Window((size, size), (1, 1), (pad,) * 4, (1, 1)),
            scaling=Scaling((1,) * wide, (3,) * wide, -2, -128, 127),
        )
        self.output(operator, (wide, *source.shape[1:]))

    def table(self, source: Map) -> Table:
        """Return a table for all channels, or one for each."""
        tables = source.shape[0] if self.draw(st.booleans()) else 1
        return Table.of(self.generator.integers(-128, 128, (tables, 256)))

    def look_up(self, name: str, source: Map) -> None:
        """Add a table."""
        table = self.table(source)
        self.output(Lookup(name, (source,), source, table), source.shape)

    def pool(self, name: str, source: Map) -> None:
        """Add a pooling that halves height and width."""
        window = Window((3, 3), (2, 2), (1, 1, 1, 1), (1, 1))
        pooling = SpatialPooling(name, (source,), source, window=window)
        height, width = window.output_shape(source.shape[1:])
        self.output(pooling, (source.shape[0], height, width))

    def concatenate(self, name: str, source: Map) -> None:
        """Add a map whose parts two tables write, where they lie in it."""
        channels, height, width = source.shape
        whole = Map(name, (2 * channels, height, width), 0.5, -2)
        for part in range(2):
            table = self.table(source)
            output = Map(f"{name}/{part}", source.shape, 0.5, -2, whole, part * channels)
            self.operators.append(Lookup(f"{name}/{part}", (source,), output, table))
        self.maps.append(whole)

    def add(self, name: str, source: Map) -> None:
        """Add what two maps of one shape become."""
        other = next(m for m in self.maps if m.shape == source.shape and m is not source)
        kind, least = self.draw(st.sampled_from(JOININGS)), self.draw(st.sampled_from([-128, 0]))
        joining = Joining(
            kind, (0.6875, 0.40625, 1.125), (source.zero, other.zero), least, -2, -128, 127
        )
        self.output(Binary(name, (source, other), source, joining=joining), source.shape)


@st.composite
def networks(draw: st.DrawFn, most: int = 4) -> IntegerNetwork:
    """Draw a network of up to so many operators."""
    return Drawing(draw).network(draw(st.integers(1, most)))
