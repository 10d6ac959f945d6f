"""Damaged models: bytes and structure of valid ones changed at random, each by its own seed.

    python tests/fuzz/mutate.py [--files 100000] [--first SEED] [--keep FOLDER]

Every file must be compiled, or refused by an `InputError` of one line; anything else is a finding:
another exception, an abort, more seconds or more memory than a file may take.
"""

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(_TESTS), str(_TESTS.parent / "examples")]

from condense_compiler.driver import compile_model, plan_request  # noqa: E402 - as above
from condense_compiler.errors import InputError  # noqa: E402 - as above
from condense_compiler.request import Request  # noqa: E402
from fuzz.mutations import LARGEST_SEED_BYTES, damaged  # noqa: E402 - found by the path above
from fuzz.seeds import seeds  # noqa: E402 - found by the path above

SECONDS = 20  # for one file
MEMORY_BYTES = 4 << 30
INVALID = Path(__file__).parent.parent / "data" / "invalid"


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that was neither compiled nor refused.

    Attributes:
        seed: What the file is made from, by `damaged`.
        what: The exception, the signal, or the limit.
    """

    seed: int
    what: str


def sources() -> list[bytes]:
    """Return the models that are changed: valid ones, and those that once broke something."""
    valid = [bytes(model.SerializeToString(deterministic=True)) for model in seeds()]
    small = [content for content in valid if len(content) <= LARGEST_SEED_BYTES]
    return [*small, *(path.read_bytes() for path in sorted(INVALID.glob("*.onnx")))]


def examine(content: bytes, folder: Path, *, run: bool) -> str | None:
    """Compile a file; return what is wrong with the compiler, or None."""
    path = folder / "damaged.onnx"
    path.write_bytes(content)
    try:
        if run:
            compile_model(path)
        else:
            plan_request(Request.of(path))
    except InputError as error:
        return None if len(str(error).splitlines()) == 1 else f"several lines: {error}"
    except MemoryError:
        return "memory exhausted"
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        own = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "condense" in f.filename]
        came = own[-1] if own else "?"
        return f"{type(error).__name__} at {place} (from {came}): {str(error)[:160]}"
    return None


def _work(seeds: Sequence[int], models: Sequence[bytes], pipe: int) -> None:
    """Examine files in a process of its own; say over the pipe which is next and what is found."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    sys.stdout.flush()
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            os.write(pipe, f"next {seed}\n".encode())
            found = examine(damaged(seed, models), Path(folder), run=seed % 4 == 0)
            if found is not None:
                os.write(pipe, f"found {seed} {' '.join(found.split())}\n".encode())
    os.write(pipe, b"done\n")


def findings(seeds: Sequence[int], models: Sequence[bytes]) -> Iterator[Finding]:
    """Examine files, in a forked process that is replaced whenever it dies or hangs."""
    left = list(seeds)
    while left:
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            try:
                _work(left, models, writing)
            finally:
                os._exit(0)
        os.close(writing)
        current, death, ended = left[0], "", False
        for line in _lines(reading):
            kind, _, rest = line.partition(" ")
            if kind == "next":
                current = int(rest)
            elif kind == "found":
                seed, _, what = rest.partition(" ")
                yield Finding(int(seed), what)
            elif kind == "late":
                os.kill(process, signal.SIGKILL)
                death = f"no answer in {SECONDS} s"
            elif kind == "done":
                current, ended = left[-1], True
        os.close(reading)
        _, status = os.waitpid(process, 0)
        if os.WIFSIGNALED(status):
            yield Finding(current, death or f"killed by signal {os.WTERMSIG(status)}")
        elif not ended:
            yield Finding(current, "the process ended")
        left = left[left.index(current) + 1 :]


def _lines(pipe: int) -> Iterator[str]:
    """Yield lines of a pipe until it is closed; `late` when none comes for too long."""
    import select  # noqa: PLC0415 - used here alone

    rest = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], SECONDS)
        if not ready:
            yield "late"
            return
        chunk = os.read(pipe, 1 << 16)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode() for line in lines)


def main() -> None:
    """Examine files and print what is found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    arguments = parser.parse_args()
    models, began, kinds = sources(), time.monotonic(), Counter[str]()
    for finding in findings(range(arguments.first, arguments.first + arguments.files), models):
        kinds[finding.what.split(": ")[0]] += 1
        print(f"seed {finding.seed}: {finding.what}", flush=True)
        if arguments.keep:
            arguments.keep.mkdir(parents=True, exist_ok=True)
            path = arguments.keep / f"{finding.seed}.onnx"
            path.write_bytes(damaged(finding.seed, models))
    print(
        f"{arguments.files} files, {sum(kinds.values())} findings, {time.monotonic() - began:.0f} s"
    )
    for what, count in kinds.most_common():
        print(f"  {count} {what}")
    sys.exit(1 if kinds else 0)


if __name__ == "__main__":
    main()
