"""Checks the PyTorch code of docs/patterns.md: `python docs/check_pytorch.py`.

Each spelling is written as a module with the weights of the page's ONNX model. It must compute what
that model computes, and what PyTorch's two exporters write of it must be fused. Needs
`pip install -e .[test] torch onnxscript`.
"""

import functools
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody calls it
from onnx import numpy_helper

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent / "examples"), str(DOCS.parent / "tests")]

from generators.patterns import CHANNELS, SPATIAL, families  # noqa: E402 - found by the path above
from kit.reshaped import shuffled  # noqa: E402
from kit.rewriting import rewrite  # noqa: E402

TOLERANCE = 1e-6  # of the largest magnitude
EXPORTERS: Mapping[str, dict[str, Any]] = {
    "dynamo": {"dynamo": True, "verbose": False},
    "TorchScript": {"dynamo": False, "opset_version": 18},
}


class Spelled(torch.nn.Module):
    """Convolutions with the weights of a model, leaky ReLU, and the code of a spelling."""

    def __init__(self, model: onnx.ModelProto, code: str, window: int) -> None:
        super().__init__()
        self.code, self.window = compile(code, "spelling", "exec"), window
        stored = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in model.graph.initializer}
        nodes = [node for node in model.graph.node if node.op_type == "Conv"]
        self.convolutions = torch.nn.ModuleList(
            _convolution(stored[node.input[1]], stored[node.input[2]]) for node in nodes
        )
        channels = sum(each.out_channels for each in self.convolutions)
        self.order = shuffled(channels).tolist()
        weights = [values for name, values in stored.items() if "weight_per_rank" in name]
        self.weight = weights[0].reshape(-1) if weights else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the layer."""
        ys = [F.leaky_relu(convolution(x), 0.1) for convolution in self.convolutions]
        n, c, h, w = map(int, ys[0].shape)
        g = c // self.window if len(ys) == 1 else c
        names = {"y": ys[0], "ys": ys, "n": n, "c": c, "h": h, "w": w, "g": g, "k": self.window}
        names |= {"weight": self.weight, "order": self.order}
        names |= {"torch": torch, "F": F, "functools": functools}
        exec(self.code, names)  # noqa: S102 - code of our own, which is what is checked
        pooled = names["out"]
        assert isinstance(pooled, torch.Tensor)
        return pooled


def _convolution(filters: torch.Tensor, bias: torch.Tensor) -> torch.nn.Conv2d:
    convolution = torch.nn.Conv2d(filters.shape[1], filters.shape[0], 3, padding=1)
    convolution.weight.data, convolution.bias.data = filters, bias  # type: ignore[union-attr] # it has one
    return convolution


def faults(model: onnx.ModelProto, code: str, window: int) -> Iterator[str]:
    """Yield what is wrong with the code of a spelling."""
    module = Spelled(model, code, window).eval()
    x = torch.tensor(np.random.default_rng(0).standard_normal((1, CHANNELS, *SPATIAL), np.float32))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = session.run(None, {"input": x.numpy()})[0]
    found = module(x).detach().numpy()
    if found.shape != expected.shape:
        yield f"shape {found.shape} instead of {expected.shape}"
    elif np.abs(found - expected).max() > TOLERANCE * np.abs(expected).max():
        yield "another result"
    for name, options in EXPORTERS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            try:
                torch.onnx.export(module, (x,), path, **options)
            except torch.onnx.errors.UnsupportedOperatorError as error:
                print(f"  the {name} exporter cannot: {str(error).splitlines()[0]}")
                continue
            result = rewrite(onnx.load(path))
            if result.operators != ["ConvPool"]:
                yield f"{name}: {' → '.join(result.operators)} {result.reasons}"


def main() -> int:
    """Check every spelling; exit status 1 if something is wrong."""
    wrong = 0
    for family in families():
        for name, code in family.pytorch.items():
            print(name)
            for fault in faults(family.model(name), code.strip(), family.layer(name).window):
                print(f"  WRONG: {fault}")
                wrong += 1
    print(f"{wrong} faults")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
