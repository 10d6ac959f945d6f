"""The fused operators beside stock ONNX Runtime on the original models, in one process.

    python benchmarks/onnxruntime/run.py [--rounds 5] [--threads 1 2] [--processor-time]
                                         [--networks PATTERN]

Stock runs the original model as a user would have it, its optimiser on. Sessions take turns, of
which the medians count. `--networks` times whole networks instead (`networks.py`), those whose
names the regular expression finds; "" is all. `--processor-time` counts the process's processor
time instead of wall-clock time, with one thread: the number to look at on a machine that others
use, too.
"""

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from layers import LAYERS, fused_layer, plain_layer
from memory import peak_bytes
from networks import exported, plain, pooled
from quantized import quantized
from rich.console import Console
from rich.table import Table

import condense_compiler as cc

NETWORKS = ("condensation_net", "lightcnn_mfm")
WARM_UP = 2  # runs of each turn that do not count: threads wake up, caches fill
COUNTED = 3  # runs of each turn that count
SECONDS_OF_REST = 0.06  # ONNX Runtime's threads spin for 30 ms behind a run

Clock = Callable[[], float]


def stock_session(model: onnx.ModelProto | Path, threads: int) -> ort.InferenceSession:
    """Create a session of ONNX Runtime as it is."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def our_session(model: onnx.ModelProto | Path, threads: int) -> ort.InferenceSession:
    """Create a session with the native kernels."""
    return cc.onnxruntime_session(model, intra_op_num_threads=threads, log_severity_level=3)


def compare(sessions: Sequence[ort.InferenceSession], rounds: int, clock: Clock) -> list[float]:
    """Return the median milliseconds of each session, which run in turns.

    Both have ONNX Runtime's own options. Their threads go on spinning behind a run, and would take
    a core from the other session: so each turn is a few runs in a row behind a rest.
    """
    [value] = sessions[0].get_inputs()
    feeds = {value.name: np.random.default_rng(0).standard_normal(value.shape, np.float32)}
    milliseconds: list[list[float]] = [[] for _ in sessions]
    for _ in range(rounds):
        for session, times in zip(sessions, milliseconds, strict=True):
            time.sleep(SECONDS_OF_REST)
            for number in range(WARM_UP + COUNTED):
                start = clock()
                session.run(None, feeds)
                if number >= WARM_UP:
                    times.append(1e3 * (clock() - start))
    return [statistics.median(times) for times in milliseconds]


def cases(folder: Path) -> Iterable[tuple[str, Any, Any]]:
    """Yield name, original model and compiled model of everything that is timed."""
    for size in LAYERS:
        yield f"layer {size}", plain_layer(size), fused_layer(size)
    for name in NETWORKS:
        model = exported(name)
        for kind in ("fp32", "int8"):
            source = model if kind == "fp32" else quantized(model, folder)
            compiled = folder / f"{name}_{kind}"
            cc.compile(source, target="onnxruntime", verify_outputs=False).save(compiled)
            yield f"{name}, {kind}", source, compiled


def time_all(folder: Path, threads: Sequence[int], rounds: int, clock: Clock) -> Table:
    """Return the table of times."""
    table = Table("case", "threads", "stock ms", "condense ms", "ratio", title="time of one run")
    for name, stock, ours in cases(folder):
        for count in threads:
            sessions = (stock_session(stock, count), our_session(ours, count))
            before, after = compare(sessions, rounds, clock)
            row = (f"{before:.2f}", f"{after:.2f}", f"{after / before:.2f}")
            table.add_row(name, str(count), *row)
    return table


def time_networks(
    pattern: str, folder: Path, threads: Sequence[int], rounds: int, clock: Clock
) -> Table:
    """Return the table of times of the networks whose names a pattern finds, slowest last."""
    rows = []
    for name, build in (*pooled(), *plain()):
        if not re.search(pattern, name):
            continue
        original, compiled = folder / "original.onnx", folder / "compiled"
        model = build()
        onnx.save(model, original)
        cc.compile(model, target="onnxruntime", verify_outputs=False).save(compiled)
        times = []
        for count in threads:
            sessions = (stock_session(original, count), our_session(compiled, count))
            times += [compare(sessions, rounds, clock)]
        rows.append((name, times))
    columns = [
        f"{what}, {count}" for count in threads for what in ("stock ms", "condense", "ratio")
    ]
    table = Table("network", *columns, title="time of one run, by threads")
    for name, times in sorted(rows, key=lambda row: row[1][0][1] / row[1][0][0]):
        cells = [f"{cell:.2f}" for a, b in times for cell in (a, b, b / a)]
        table.add_row(name, *cells)
    ratios = [[times[at][1] / times[at][0] for _, times in rows] for at in range(len(threads))]
    summary = [cell for some in ratios for cell in ("", "", f"{max(some, default=0):.2f}")]
    table.add_row("largest ratio", *summary)
    return table


def measure_memory(folder: Path, threads: Sequence[int]) -> Table:
    """Return the table of peaks: what is in use at once, scratch memory of kernels included."""
    table = Table("network", "threads", "stock", "condense", "ratio", title="bytes in use at most")
    for name in NETWORKS:
        original = folder / f"{name}.onnx"
        onnx.save(exported(name), original)
        for count in threads:
            before = peak_bytes(original, count, kernels=False)
            after = peak_bytes(folder / f"{name}_fp32" / "model.onnx", count, kernels=True)
            table.add_row(name, str(count), f"{before:,}", f"{after:,}", f"{after / before:.2f}")
    return table


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--networks", metavar="PATTERN", help="time whole networks")
    arguments = parser.parse_args()
    clock = time.process_time if arguments.processor_time else time.perf_counter
    threads = [1] if arguments.processor_time else arguments.threads
    console = Console(width=100)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.networks is not None:
            pattern = arguments.networks
            console.print(time_networks(pattern, folder, threads, arguments.rounds, clock))
            return
        console.print(time_all(folder, threads, arguments.rounds, clock))
        console.print(measure_memory(folder, arguments.threads))


if __name__ == "__main__":
    main()
