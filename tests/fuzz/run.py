"""Checks many random networks: `python tests/fuzz/run.py --graphs 10000`.

Prints the seed of every network that fails, and writes it, made smaller, with an input beside it.
Exit status 1 if any failed.
"""

import argparse
import faulthandler
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "examples")]

import numpy as np  # noqa: E402 - found by the path above
import onnx  # noqa: E402

from fuzz.check import Failure, failures, targets_of  # noqa: E402
from fuzz.generate import generate  # noqa: E402
from fuzz.minimise import minimised  # noqa: E402

CHUNK = 50  # networks for each process: one that dies takes no more along
SECONDS = 30 * CHUNK
_AT = "at seed "


def main() -> int:
    """Run chunks in processes of their own, so that one may die."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graphs", type=int, default=10_000, help="how many networks")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/fuzz"), help="for failures")
    parser.add_argument("--here", action="store_true", help="in this process")
    options = parser.parse_args()
    end = options.first + options.graphs
    if options.here:
        return check_range(options.first, end, options.output)
    starts = range(options.first, end, CHUNK)
    with ThreadPoolExecutor(options.jobs) as pool:
        lines = [
            line
            for found in pool.map(
                lambda first: list(_chunk(first, min(first + CHUNK, end), options.output)), starts
            )
            for line in found
        ]
    kinds = Counter(" ".join(line.split()[2:4]) for line in lines)
    print(f"{options.graphs} networks, {len(lines)} failures: {dict(kinds)}")
    return 1 if lines else 0


def _chunk(first: int, end: int, output: Path) -> Iterator[str]:
    """Run some networks in a process, and yield a line for each failure."""
    while first < end:
        printed, words, ending = _run_process(first, end - first, output)
        lines = [line for line in printed.splitlines() if line.startswith("seed ")]
        first_unseen = end
        if ending:
            started = [line for line in words if line.startswith(_AT)]
            died = int(started[-1].removeprefix(_AT)) if started else first
            fatal = [line for line in words if line.startswith("Fatal")] or words[-1:]
            lines.append(f"seed {died} process {ending} {' '.join(fatal)}")
            first_unseen = died + 1
        for line in lines:
            print(line, flush=True)
            yield line
        first = first_unseen


def _run_process(first: int, graphs: int, output: Path) -> tuple[str, list[str], str]:
    """Return what a process printed, its lines of errors, and how it ended if not by itself."""
    arguments = ["--here", "--first", str(first), "--graphs", str(graphs), "-o", str(output)]
    with tempfile.TemporaryFile("w+") as errors:
        try:
            done = subprocess.run(
                [sys.executable, __file__, *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                timeout=SECONDS,
                check=False,
            )
            printed, ending = done.stdout, "" if done.returncode in (0, 1) else "died"
        except subprocess.TimeoutExpired as expired:
            printed, ending = (expired.stdout or b"").decode(), "hung"
        errors.seek(0)
        return printed, errors.read().strip().splitlines(), ending


def check_range(first: int, end: int, output: Path) -> int:
    """Check networks, and write those that fail."""
    faulthandler.enable()
    status = 0
    for seed in range(first, end):
        print(f"{_AT}{seed}", file=sys.stderr, flush=True)
        generated = generate(seed)
        for failure in failures(generated.model, generated.feeds, targets_of(seed)):
            status = 1
            path = write(seed, failure, output)
            text = " ".join(failure.text.split())[:300]
            print(f"seed {seed} {failure.target} {failure.kind} {text} [{path}]", flush=True)
    return status


def write(seed: int, failure: Failure, output: Path) -> Path:
    """Write a network that fails, made smaller, and an input beside it; return its path."""
    generated = generate(seed)

    def fails(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> bool:
        try:
            found = list(failures(model, feeds, [failure.target]))
        except Exception:  # noqa: BLE001 - a part that ONNX Runtime cannot run says nothing
            return False
        return any(
            each.kind == failure.kind
            and (failure.kind != "crash" or each.text[:20] == failure.text[:20])
            for each in found
        )

    model, feeds = minimised(generated.model, generated.feeds, generated.values, fails)
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"{failure.kind}_{failure.target}_{seed}.onnx"
    onnx.save(model, path)
    np.savez(path.with_suffix(".npz"), **feeds)
    return path


if __name__ == "__main__":
    sys.exit(main())
