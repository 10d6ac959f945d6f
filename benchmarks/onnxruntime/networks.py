"""Networks with cross-channel pooling in every spelling, and some without any.

The backbone of Condensation-Net at 160² with each spelling of the tests' kit, at widths of 0.25 and
1.0; with other windows and activations; and the exported networks of tests/data.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import onnx

_ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(_ROOT / "tests"), str(_ROOT / "examples")]
from condensation_net import Activate, build, leaky_relu  # noqa: E402 - found by the line above
from graph_writer import GraphWriter  # noqa: E402
from kit.models import hydrated, model_names  # noqa: E402
from kit.spellings import ALL_SPELLINGS  # noqa: E402

SIZE = 160
WIDTHS = (0.25, 1.0)
WINDOWS = (3, 4, 5, 8)  # besides 2
EXPORTED = ("condensation_net_small", "ordinal_pooling", "lightcnn_mfm")
# Networks without cross-channel pooling: nothing may become slower.
PLAIN = ("lcnet_050", "mobilenetv2_035", "mobilenetv3_small_050", "resnet18", "squeezenet1_1")

Named = tuple[str, Callable[[], onnx.ModelProto]]


def _silu(graph: GraphWriter, tensor: str) -> str:
    return graph.write("Mul", tensor, graph.write("Sigmoid", tensor))


def _one(op_type: str) -> Activate:
    return lambda graph, tensor: graph.write(op_type, tensor)


ACTIVATIONS: dict[str, Activate] = {"silu": _silu} | {
    op_type.lower(): _one(op_type)
    for op_type in ("Elu", "Gelu", "HardSwish", "Mish", "Relu", "Sigmoid", "Softplus", "Tanh")
}


def exported(name: str) -> onnx.ModelProto:
    """Return a network of tests/data, its symbolic dimensions 1."""
    model = hydrated(name)
    for value in model.graph.input:
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_value = 1
    return model


def _backbone(spelling: str, k: int, width: float, activate: Activate) -> onnx.ModelProto:
    pooling = ALL_SPELLINGS[spelling]
    return build(k, width, SIZE, pooling, opset=20, activate=activate)


def pooled() -> Iterator[Named]:
    """Yield the networks with cross-channel pooling, by name."""
    names = [name for name in model_names() if name.startswith("ccp_")]
    for name in (*names, *EXPORTED):
        yield name, partial(exported, name)
    for width in WIDTHS:
        for spelling in ALL_SPELLINGS:
            yield f"{spelling}, {width}", partial(_backbone, spelling, 2, width, leaky_relu)
        for spelling in ("reduce_max", "split_max", "reduce_mean"):
            for k in WINDOWS:
                name = f"{spelling}, k = {k}, {width}"
                yield name, partial(_backbone, spelling, k, width, leaky_relu)
        for name, activate in ACTIVATIONS.items():
            for spelling in ("reduce_max", "split_max"):
                label = f"{spelling}, {name}, {width}"
                yield label, partial(_backbone, spelling, 2, width, activate)


def plain() -> Iterator[Named]:
    """Yield the networks without, by name."""
    for name in PLAIN:
        yield name, partial(exported, name)
