"""Measure the memory planner side by side with its peers: `python benchmarks/planner/run.py`.

Every figure is taken in this run, on this machine. `--seconds` limits each single answer of a
peer and of the planner on large inputs; `--no-peers` measures the planner alone.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from instances import puzzle, short_lived, training, uniform
from peers import Peer, available

from condense_compiler.memory.buffers import Buffer, Plan
from condense_compiler.memory.buffers_csv import read_buffers, write_plan
from condense_compiler.memory.planner import plan

PROBLEMS = Path(__file__).with_name("problems")
CAPACITY = 1_048_576
REPEATS = 5


def load_of(buffers: Sequence[Buffer]) -> int:
    """Return the largest sum of sizes alive at one step."""
    changes: dict[int, int] = {}
    for buffer in buffers:
        changes[buffer.lower] = changes.get(buffer.lower, 0) + buffer.size
        changes[buffer.upper] = changes.get(buffer.upper, 0) - buffer.size
    alive = load = 0
    for step in sorted(changes):
        alive += changes[step]
        load = max(load, alive)
    return load


def timed(work: Callable[[], Plan], repeats: int = REPEATS) -> tuple[Plan, float, float]:
    """Return the result and the medians of the time and of the time of all cores, in seconds."""
    times, works = [], []
    for _ in range(repeats):
        start, begin = time.perf_counter(), time.process_time()
        result = work()
        times.append(time.perf_counter() - start)
        works.append(time.process_time() - begin)
    return result, statistics.median(times), statistics.median(works)


def row(
    name: str, buffers: int, planner: str, arena: int | None, load: int, seconds: float, cpu: str
) -> None:
    """Print one line of the table."""
    waste = "no answer" if arena is None else f"{100 * (arena / load - 1):.3f} %"
    shown = "" if arena is None else f"{arena:,}"
    cells = (f"{name:<18}", f"{buffers:>7,}", f"{planner:<24}", f"{shown:>15}", f"{waste:>9}")
    print(f"| {' | '.join(cells)} | {seconds:>7.3f} | {cpu:>7} |", flush=True)


def head(title: str) -> None:
    """Print the title of a table and its header."""
    print(f"\n{title}\n")
    print("| problem | buffers | planner | arena in bytes | over load | seconds | all cores |")
    print("|---|--:|---|--:|--:|--:|--:|")


def _answer(peer: Peer, buffers: Sequence[Buffer], seconds: float, pipe: object) -> None:
    pipe.send(peer(buffers, seconds))  # type: ignore[attr-defined]


def run_peer(peer: Peer, buffers: Sequence[Buffer], seconds: float) -> tuple[int | None, float]:
    """Run a peer in a process of its own, killed if it takes far longer than allowed."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_answer, args=(peer, buffers, seconds, there))
    start = time.perf_counter()
    process.start()
    there.close()
    arena = None
    try:
        if here.poll(2 * seconds + 5):
            arena = here.recv()
    except EOFError:
        pass  # the peer failed, and has said why on stderr
    elapsed = time.perf_counter() - start
    process.kill()
    process.join()
    return arena, elapsed


def measure(
    name: str, buffers: list[Buffer], peers: dict[str, Peer], limit: float, seconds: float | None
) -> None:
    """Print a line for the planner and for each peer."""
    load = load_of(buffers)
    repeats = 1 if seconds else REPEATS
    result, elapsed, cpu = timed(lambda: plan(buffers, seconds=seconds), repeats)
    proof = "proved" if result.optimal else result.ending.value
    row(name, len(buffers), f"condense ({proof})", result.arena_bytes, load, elapsed, f"{cpu:.3f}")
    for peer_name, peer in peers.items():
        arena, elapsed = run_peer(peer, buffers, limit)
        row(name, len(buffers), peer_name, arena, load, elapsed, "")


def fits(peers: dict[str, Peer], limit: float) -> None:
    """Ask whether MiniMalloc's problems fit their capacity."""
    head(f"Does it fit {CAPACITY:,} bytes? (peers: smallest arena within the limit)")
    total = total_cpu = 0.0
    for letter in "ABCDEF":
        name = f"{letter}.{CAPACITY}"
        buffers = read_buffers(PROBLEMS / f"{name}.csv")
        result, elapsed, cpu = timed(partial(plan, buffers, capacity=CAPACITY))
        total += elapsed
        total_cpu += cpu
        planner = f"condense ({result.verdict(CAPACITY).value})"
        load = load_of(buffers)
        row(name, len(buffers), planner, result.arena_bytes, load, elapsed, f"{cpu:.3f}")
        for peer_name, peer in peers.items():
            arena, elapsed = run_peer(peer, buffers, limit)
            row(name, len(buffers), peer_name, arena, load, elapsed, "")
    print(f"\nAll six together: {total:.3f} s, {total_cpu:.3f} s of all cores")


def smallest(peers: dict[str, Peer], limit: float) -> None:
    """Ask for the smallest arena, with the fixed effort that is the default."""
    head("How small can it be? (fixed effort; peers: within the limit)")
    for name in ("C.1048576", "D.1048576", "resnet50_training", "G_1", "Y_1"):
        measure(name, read_buffers(PROBLEMS / f"{name}.csv"), peers, limit, None)
    measure("D.1048576", read_buffers(PROBLEMS / "D.1048576.csv"), {}, limit, limit)
    for count in (100, 200, 300):
        measure(f"puzzle {count}", puzzle(count, 1), peers, limit, limit)


def large(peers: dict[str, Peer], limit: float) -> None:
    """Plan buffers as compilers and training runs make them."""
    head(f"Large inputs, at most {limit:g} s")
    for count in (20_000, 30_000):
        for make in (training, short_lived, uniform):
            name = make.__name__.replace("_", " ")
            measure(name, make(count, 0), peers, limit, limit)


def _from_file_to_file(source: str, target: str, pipe: object) -> None:
    start = time.perf_counter()
    buffers = read_buffers(source)
    read = time.perf_counter()
    result = plan(buffers, seconds=0)
    planned = time.perf_counter()
    write_plan(target, buffers, result)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    over = 100 * (result.arena_bytes / result.lower_bound_bytes - 1)
    total = time.perf_counter() - start
    pipe.send((over, planned - read, total, peak))  # type: ignore[attr-defined]


def growth() -> None:
    """Measure the first answer, from CSV to CSV."""
    print("\nGrowth: the first answer, checked; random lifetimes, a third of them alive at once\n")
    print("| buffers | over load | plan in s | CSV to CSV in s | memory in GiB |")
    print("|--:|--:|--:|--:|--:|")
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in.csv"), os.path.join(folder, "out.csv")  # noqa: PTH118
        for power in (3, 4, 5, 6):
            buffers = uniform(10**power, 1)
            with open(source, "w", encoding="utf-8") as file:  # noqa: PTH123
                file.write("id,lower,upper,size\n")
                file.writelines(f"{b.id},{b.lower},{b.upper},{b.size}\n" for b in buffers)
            here, there = spawn.Pipe()
            process = spawn.Process(target=_from_file_to_file, args=(source, target, there))
            process.start()
            there.close()
            over, planning, total, peak = here.recv()
            process.join()
            print(
                f"| 10^{power} | {over:.3f} % | {planning:.3f} | {total:.3f} | {peak:.2f} |",
                flush=True,
            )


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="limit of one answer")
    parser.add_argument("--no-peers", action="store_true", help="measure the planner alone")
    options = parser.parse_args()
    peers, missing = available()
    if options.no_peers:
        peers, missing = {}, []
    print(
        f"{os.cpu_count()} cores; "
        + "; ".join(missing or ["all peers measured" if peers else "no peers"])
    )
    fits(peers, options.seconds)
    smallest(peers, options.seconds)
    large(peers, options.seconds)
    growth()


if __name__ == "__main__":
    main()
