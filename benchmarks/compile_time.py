"""How long compilation takes without verification, beside tools that only simplify a model.

    python benchmarks/compile_time.py

onnxslim, onnxsim and onnxoptimizer are timed in the same run where they are installed.
"""

import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import onnx
from rich.console import Console
from rich.table import Table
from timing import alternate

import condense_compiler as cc

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from kit.models import light

NETWORKS = ("resnet50", "densenet121", "squeezenet", "inception_v2", "shufflenet")

# Peer -> the function that simplifies a model.
PEERS = {"onnxslim": "slim", "onnxsim": "simplify", "onnxoptimizer": "optimize"}


def candidates(model: onnx.ModelProto, folder: Path) -> dict[str, Callable[[], object]]:
    """Return what is timed: compiling the file, and every peer that is installed."""
    path = folder / "model.onnx"
    onnx.save(model, path)
    found: dict[str, Callable[[], object]] = {
        "condense": partial(cc.compile, path, verify_outputs=False)
    }
    for name, function in PEERS.items():
        if find_spec(name) is not None:
            simplify = getattr(import_module(name), function)
            found[name] = partial(_simplified, simplify, path)
    return found


def _simplified(simplify: Callable[[onnx.ModelProto], object], path: Path) -> object:
    return simplify(onnx.load(path))


def main() -> None:
    """Print the table."""
    table = Table("network", "condense", *PEERS, title="seconds, median of 5")
    for name in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            seconds = alternate(candidates(light(name), Path(folder)))
        row = [f"{seconds[tool]:.2f}" if tool in seconds else "-" for tool in ("condense", *PEERS)]
        table.add_row(name, *row)
    Console().print(table)


if __name__ == "__main__":
    main()
