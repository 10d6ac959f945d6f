"""The peaks of orders: as in the file, by list scheduling, and the best that the search finds.

    python benchmarks/order [--seconds S] [NAME ...]

Every tensor is stored and nothing is a view; element-wise operators may overwrite what dies at
them, and a convolution that only an addition reads may be added straight into the other operand.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import onnx
from greedy import greedy_order
from problems import order_problem
from rich.console import Console
from rich.table import Table

from condense_compiler.memory.scheduler import OrderProblem, find_order
from condense_compiler.network import load_network

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "examples"), str(ROOT / "tests")]
from kit.models import hydrated, light, light_names, model_names  # noqa: E402
from networks import darts, nasnet, randwire, swiftnet  # noqa: E402

NETWORKS: Mapping[str, Callable[[], onnx.ModelProto]] = {
    "swiftnet": swiftnet.build,
    "darts": darts.build,
    "darts, 20 cells": partial(darts.build, cells=20),
    "nasnet": nasnet.build,
    "nasnet, 12 cells": partial(nasnet.build, cells=4),
    "randwire": randwire.build,
    "randwire, plain sums": partial(randwire.build, weighted=False),
} | {f"light {name}": partial(light, name) for name in light_names()} | {
    name: partial(hydrated, name) for name in model_names()
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NAME", help="networks (default: all)")
    parser.add_argument("--seconds", type=float, help="time for each (default: a fixed effort)")
    options = parser.parse_args()
    columns = ("network", "operators", "file order", "greedy", "found", "bound", "proved")
    table = Table(title="peak of stored feature maps, bytes")
    for column in (*columns, "sets", "seconds"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for name in options.networks or NETWORKS:
        problem = order_problem(load_network(NETWORKS[name]()))
        table.add_row(name, *_row(problem, options.seconds))
    Console().print(table)


def _row(problem: OrderProblem, seconds: float | None) -> list[str]:
    start = time.perf_counter()
    order = find_order(problem, seconds)
    elapsed = time.perf_counter() - start
    peaks = (
        _peak(problem, list(range(problem.operator_count))),
        _peak(problem, greedy_order(problem)),
        order.peak_bytes,
        order.lower_bound_bytes,
    )
    return [
        str(problem.operator_count),
        *(f"{peak:,}" for peak in peaks),
        "yes" if order.optimal else order.ending.value,
        f"{order.states:,}",
        f"{elapsed:.2f}",
    ]


def _peak(problem: OrderProblem, sequence: list[int]) -> int:
    """Return the peak of one order, with every overwrite and accumulation that it allows."""
    return find_order(problem, 0.0, sequence).peak_bytes


if __name__ == "__main__":
    main()
