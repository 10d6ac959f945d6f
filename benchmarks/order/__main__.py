"""The peaks of orders: as in the file, by list scheduling, and the best that the search finds.

    python benchmarks/order [--seconds S] [NAME ...]

Views and overwriting are counted as they happen; the networks are not rewritten first.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import onnx
from greedy import greedy_order
from rich.console import Console
from rich.table import Table

from condense_compiler.memory.order import file_order
from condense_compiler.memory.scheduler import OrderProblem, find_order
from condense_compiler.memory.scheduling import order_problem
from condense_compiler.memory.sharing import resolve_sharing
from condense_compiler.network import load_network

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "examples"), str(ROOT / "tests")]
from kit.models import hydrated, light, light_names, model_names  # noqa: E402
from networks import darts, nasnet, randwire, swiftnet  # noqa: E402

Build = Callable[[], onnx.ModelProto]

IRREGULAR: Mapping[str, Build] = {
    "swiftnet": partial(swiftnet.build, seed=1),
    "darts": darts.build,
    "darts, 20 cells": partial(darts.build, cells=20),
    "nasnet": nasnet.build,
    "nasnet, 12 + 2 cells": partial(nasnet.build, cells=4),
    "randwire": randwire.build,
    "randwire, seed 10": partial(randwire.build, seed=10),
    "randwire, seed 20": partial(randwire.build, seed=20),
    "randwire, plain sums": partial(randwire.build, weighted=False, seed=20),
    "randwire, 48 nodes": partial(randwire.build, nodes=48, stages=2, seed=10),
}
LIGHT: Mapping[str, Build] = {f"light {name}": partial(light, name) for name in light_names()}
EXPORTED: Mapping[str, Build] = {name: partial(hydrated, name) for name in model_names()}
NETWORKS = {**IRREGULAR, **LIGHT, **EXPORTED}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NAME", help="networks (default: all)")
    parser.add_argument("--seconds", type=float, help="time for each (default: a fixed effort)")
    options = parser.parse_args()
    table = Table(title="peak of stored feature maps in bytes, processor time in seconds")
    columns = ("operators", "file order", "greedy", "found", "bound", "proved", "sets", "seconds")
    table.add_column("network", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for name in options.networks or NETWORKS:
        network = load_network(NETWORKS[name](), {"batch": 1} if "dynamic" in name else None)
        sharing = resolve_sharing(network, file_order(network))
        running = [number for number in range(len(sharing.order)) if number not in sharing.idle]
        table.add_row(name, *_row(order_problem(sharing, running), options.seconds))
    Console(width=140).print(table)


def _row(problem: OrderProblem, seconds: float | None) -> list[str]:
    start = time.process_time()
    order = find_order(problem, seconds)
    elapsed = time.process_time() - start
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
