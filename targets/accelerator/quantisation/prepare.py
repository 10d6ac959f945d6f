"""The way from a model as given to one with quantisation written as arithmetic."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from condense_compiler.network import load_network
from condense_compiler.network.integer_operators import in_standard_operators
from condense_compiler.passes import find_pass
from condense_compiler.rewriting.runner import run_passes
from condense_compiler.targets.accelerator.integer.forms import ON_CODES, Forms
from condense_compiler.targets.accelerator.quantisation.bias_units import (
    layers_with_bias_in_other_units,
)
from condense_compiler.targets.accelerator.quantisation.fewer_bits import reduce_weights
from condense_compiler.targets.accelerator.quantisation.forms import forms_of
from condense_compiler.targets.accelerator.quantisation.rank_sums import keep_rank_sums_exact
from condense_compiler.targets.accelerator.quantisation.samples import drawn_samples, read_samples
from condense_compiler.targets.accelerator.quantisation.static import quantise
from condense_compiler.targets.accelerator.quantisation.unfolding import is_quantised, unfold

UNCALIBRATED = (
    "no calibration samples: ranges come from {count} random ones; give --calibration for "
    "ranges that suit real images"
)

MISTAKEN_BIAS = (
    "'{first}'{others} has a bias in the units of another layer; ONNX Runtime adds its codes as if "
    "the units were the layer's own, and so will the accelerator: give each layer its own bias "
    "before quantising"
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model before the passes.

    Attributes:
        quantised: The quantised model, as ONNX Runtime runs it.
        unfolded: The same with quantisation written as arithmetic.
        forms: How ONNX Runtime computes its operators.
    """

    quantised: onnx.ModelProto
    unfolded: onnx.ModelProto
    forms: Forms


def prepare(
    source: str | Path | onnx.ModelProto,
    dims: Mapping[str, int] | None,
    calibration: Path | None,
    weight_bits: int,
) -> Prepared:
    """Quantise a model unless it is, and write its quantisation as arithmetic.

    Raises:
        InputError: Model or samples cannot be used.
    """
    standard = in_standard_operators(source)
    network = load_network(standard, dims)
    run_passes(network, [find_pass("fold_pads")])  # a window may reach over the edge; no Pad can
    model = network.to_model()
    if is_quantised(model):
        split_up = standard is not source
        given = _as_given(source) if split_up else model
        forms = forms_of(given)
        _warn_of_biases(given, forms)
        return Prepared(given, unfold(model, forms), forms)
    if calibration is None:
        samples = drawn_samples(network.graph.inputs)
        warnings.warn(UNCALIBRATED.format(count=len(samples)), stacklevel=2)
    else:
        samples = read_samples(calibration, network.graph.inputs)
    model = quantise(network, samples)
    keep_rank_sums_exact(model)
    reduce_weights(model, weight_bits)
    forms = forms_of(model)
    return Prepared(model, unfold(model, forms), forms)


def _warn_of_biases(given: onnx.ModelProto, forms: Forms) -> None:
    layers = [
        name
        for name in layers_with_bias_in_other_units(given)
        if forms.get(name, ON_CODES).adds_bias_codes
    ]
    if layers:
        others = f", as {len(layers) - 1} more," if len(layers) > 1 else ""
        warnings.warn(MISTAKEN_BIAS.format(first=layers[0], others=others), stacklevel=3)


def _as_given(source: str | Path | onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with all its weights."""
    return source if isinstance(source, onnx.ModelProto) else onnx.load(source)
