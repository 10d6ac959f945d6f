"""How long the reference target takes for Condensation-Net at 416x416, beside two others.

    python benchmarks/reference_run.py

ONNX Runtime runs the original model on one thread; the two others use numpy's BLAS as it is set up
(OPENBLAS_NUM_THREADS=1 for one thread). onnx.reference runs once.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx.reference import ReferenceEvaluator
from rich.console import Console
from rich.table import Table
from timing import alternate

import condense_compiler as cc

sys.path.append(str(Path(__file__).parent.parent / "examples"))
from condensation_net import build


def main() -> None:
    """Print the table."""
    model = build(k=2, size=416)
    feeds = {"input": np.random.default_rng(0).normal(size=(1, 3, 416, 416)).astype(np.float32)}
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options)
    compilation = cc.compile(model, verify_outputs=False)
    evaluator = ReferenceEvaluator(model)
    seconds = alternate(
        {
            "ONNX Runtime, one thread": lambda: session.run(None, feeds),
            "condense, reference target": lambda: compilation.run(feeds),
        }
    )
    seconds |= alternate({"onnx.reference": lambda: evaluator.run(None, feeds)}, 1, warm_up=0)
    table = Table("", "seconds", "of ONNX Runtime", title="Condensation-Net 416x416")
    for name, value in seconds.items():
        table.add_row(name, f"{value:.3f}", f"{value / seconds['ONNX Runtime, one thread']:.2f} x")
    Console().print(table)


if __name__ == "__main__":
    main()
