"""Compile networks for the accelerator; every test lets each network be quantised once."""

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from condensation_net import build
from kit.models import hydrated

from condense_compiler.driver import compile_model
from condense_compiler.targets.accelerator.lowered import AcceleratorProgram

Array = npt.NDArray[Any]
Feeds = Mapping[str, Array]


def _model(name: str) -> onnx.ModelProto:
    if name.startswith("condensation_net_k"):
        return build(k=int(name.removeprefix("condensation_net_k")), width=0.25, size=64)
    return hydrated(name)


@cache
def _quantised(name: str, weight_bits: str) -> onnx.ModelProto:
    lowered = _compile(_model(name), {"weight_bits": weight_bits}, {"batch": 1})
    assert lowered.quantised is not None
    return lowered.quantised


def _compile(
    model: onnx.ModelProto, options: Mapping[str, str], dims: Mapping[str, int] | None = None
) -> AcceleratorProgram:
    symbolic = {
        dimension.dim_param
        for value in model.graph.input
        for dimension in value.type.tensor_type.shape.dim
    }
    sizes = {name: size for name, size in (dims or {}).items() if name in symbolic}
    wanted = dict(options)
    limit = wanted.pop("memory_limit_bytes", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no calibration samples; ONNX Runtime's own
        compilation = compile_model(
            model,
            "accelerator",
            dims=sizes,
            memory_limit_bytes=None if limit is None else int(limit),
            verify_outputs=False,
            target_options=wanted,
        )
    assert isinstance(compilation.lowered, AcceleratorProgram)
    return compilation.lowered


@cache
def _lowered(name: str, options: tuple[tuple[str, str], ...]) -> AcceleratorProgram:
    wanted = dict(options)
    bits = wanted.pop("weight_bits", "8")
    return _compile(_quantised(name, bits), wanted)


@pytest.fixture(scope="session")
def lowered() -> Callable[..., AcceleratorProgram]:
    """Compile a network, given its name and options of the target, or `memory_limit_bytes`."""
    return lambda name, **options: _lowered(name, tuple(sorted(options.items())))


@pytest.fixture(scope="session")
def compiled() -> Callable[..., AcceleratorProgram]:
    """Compile a model in memory."""
    return lambda model, **options: _compile(model, options)


@pytest.fixture(scope="session")
def feeds_of() -> Callable[[AcceleratorProgram], dict[str, Array]]:
    """Draw inputs for a network."""

    def draw(program: AcceleratorProgram) -> dict[str, Array]:
        generator = np.random.default_rng(11)
        return {
            name: generator.standard_normal(port.shape).astype(np.float32)
            for name, port in program.network.inputs.items()
        }

    return draw
