"""What the feature maps of real networks need: before, after, and in other tools.

    python benchmarks/feature_maps/run.py [NAME...]

Columns: `before`, the network as given, every map stored, its own order, planned by our planner;
`greedy` and `omni`, the same maps placed by OmniMalloc's allocators of these names, where it is
installed; `after`, the compiled network; `bound`, what no plan of any order can go below under the
rules of docs/order.md; `ORT`, what ONNX Runtime really has in use at the peak, input not counted
(see onnxruntime_peak.py). Bytes, batch 1, float32.
"""

import subprocess
import sys
import tempfile
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import onnx
from rich.console import Console
from rich.table import Table

import condense_compiler as cc
from condense_compiler.memory.buffers import Buffer
from condense_compiler.report.measure import measure_given

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent.parent / "tests"))
from kit.models import hydrated, light, light_names, model_names  # noqa: E402

COLUMNS = ("before", "greedy", "omni", "ORT", "after", "bound", "order", "seconds")


def omnimalloc_bytes(buffers: list[Buffer], allocator: str) -> int | None:
    """Return the arena that OmniMalloc needs for buffers; None where it is not installed."""
    if find_spec("omnimalloc") is None:
        return None
    omnimalloc = import_module("omnimalloc")
    wanted = [omnimalloc.Allocation(b.id, b.size, b.lower, b.upper) for b in buffers if b.size]
    placed = omnimalloc.allocate(wanted, allocator)
    return max(int(allocation.offset + allocation.size) for allocation in placed)


def onnxruntime_bytes(model: onnx.ModelProto) -> int:
    """Return the peak of ONNX Runtime, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        command = [sys.executable, str(HERE / "onnxruntime_peak.py"), str(path)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(answer.stdout)


def row(model: onnx.ModelProto) -> list[str]:
    """Return the figures of one network, in the order of the columns."""
    dims = {"batch": 1} if any(_is_dynamic(value) for value in model.graph.input) else None
    report = cc.compile(model, dims=dims, verify_outputs=False).report
    buffers = measure_given(cc.load_network(model, dims)).buffers
    figures = [
        report.before.arena_bytes,
        omnimalloc_bytes(buffers, "greedy_by_size"),
        omnimalloc_bytes(buffers, "omni"),
        onnxruntime_bytes(model),
        report.after.arena_bytes,
        report.after.lower_bound_bytes,
    ]
    proof = "optimal" if report.after.order_optimal else "best found"
    seconds = report.seconds["schedule"] + report.seconds["plan"]
    texts = ["-" if figure is None else f"{figure:,}" for figure in figures]
    return [*texts, proof, f"{seconds:.2f}"]


def _is_dynamic(value: onnx.ValueInfoProto) -> bool:
    return any(dim.dim_param for dim in value.type.tensor_type.shape.dim)


def main(wanted: list[str]) -> None:
    """Print the table."""
    table = Table("network", *COLUMNS)
    for column in table.columns[1:]:
        column.justify = "right"
    networks = {name: partial(hydrated, name) for name in model_names()}
    networks |= {f"light_{name}": partial(light, name) for name in light_names()}
    for name, load in networks.items():
        if not wanted or name in wanted:
            table.add_row(name, *row(load()))
    Console(width=160).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
