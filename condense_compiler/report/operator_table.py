"""A network operator by operator: feature maps, arithmetic, parameters."""

from dataclasses import dataclass
from typing import Any

from condense_compiler.report.measure import Given
from condense_compiler.report.records import OperatorRecord, TensorRecord
from condense_compiler.report.tables import align

_COLUMNS = (
    *("step", "maps B", "load B", "MACs", "parameters", "parameters B"),
    *("operator", "shape", "name"),
)


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """What one operator costs.

    Attributes:
        operator: The operator.
        results: What it writes.
        load: Bytes of feature maps alive while it runs, operator by operator.
    """

    operator: OperatorRecord
    results: tuple[TensorRecord, ...]
    load: int

    @property
    def size(self) -> int:
        """Bytes of the feature maps that it writes."""
        return sum(result.size for result in self.results)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as `condense inspect --json` has it."""
        return {
            "name": self.operator.name,
            "op": self.operator.op,
            "reads": list(self.operator.reads),
            "writes": [
                {"tensor": r.name, "dtype": r.dtype, "shape": list(r.shape), "bytes": r.size}
                for r in self.results
            ],
            "feature_map_bytes": self.size,
            "load_bytes": self.load,
            "macs": self.operator.macs,
            "parameters": self.operator.parameters,
            "parameter_bytes": self.operator.parameter_bytes,
        }


def operator_rows(given: Given) -> list[OperatorRow]:
    """Return the operators of a network, in the order of the file."""
    loads = [0] * len(given.operators)
    for buffer in given.buffers:
        for step in range(buffer.lower, min(buffer.upper, len(loads))):
            loads[step] += buffer.size
    return [
        OperatorRow(operator, tuple(given.tensors[name] for name in operator.writes), load)
        for operator, load in zip(given.operators, loads, strict=True)
    ]


def operators_dict(given: Given) -> dict[str, Any]:
    """Return the table as JSON."""
    rows = operator_rows(given)
    return {
        "model": given.name,
        "operators": [row.to_dict() for row in rows],
        "totals": {
            "operators": len(rows),
            "feature_map_bytes": given.sum_bytes,
            "peak_load_bytes": max((row.load for row in rows), default=0),
            "macs": given.macs,
            "parameters": sum(row.operator.parameters for row in rows),
            "parameter_bytes": sum(row.operator.parameter_bytes for row in rows),
            "traffic_bytes": given.traffic_bytes,
        },
    }


def operators_text(given: Given) -> str:
    """Return the table as text, totals at the end."""
    rows = operator_rows(given)
    peak = max((row.load for row in rows), default=0)
    cells = [_cells(number, row, peak) for number, row in enumerate(rows)]
    totals = (
        *("all", f"{given.sum_bytes:,}", f"peak {peak:,}", f"{given.macs:,}"),
        f"{sum(row.operator.parameters for row in rows):,}",
        f"{sum(row.operator.parameter_bytes for row in rows):,}",
        *(f"{len(rows)} operators", "", f"traffic {given.traffic_bytes:,} B"),
    )
    lines = align([_COLUMNS, *cells, totals], right=6)
    return "\n".join([*lines[:-1], "-" * max(map(len, lines)), lines[-1]])


def _cells(number: int, row: OperatorRow, peak: int) -> tuple[str, ...]:
    operator = row.operator
    shapes = ", ".join("x".join(map(str, result.shape)) for result in row.results)
    return (
        *(str(number), f"{row.size:,}", f"{'*' if row.load == peak else ''}{row.load:,}"),
        *(f"{operator.macs:,}", f"{operator.parameters:,}", f"{operator.parameter_bytes:,}"),
        *(operator.op, shapes, operator.name),
    )
