"""The way from a model as given to one with quantisation written as arithmetic."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError
from condense_compiler.network import Network, load_network
from condense_compiler.network.integer_operators import SPLIT_UP, in_standard_operators
from condense_compiler.network.lifting import lift
from condense_compiler.rewriting.contract import Pass
from condense_compiler.rewriting.runner import AppliedPass, run_passes
from condense_compiler.targets.accelerator.integer.checking import check_operators, is_dilated
from condense_compiler.targets.accelerator.integer.forms import ON_CODES, Forms
from condense_compiler.targets.accelerator.quantisation.bias_units import (
    layers_with_bias_in_other_units,
)
from condense_compiler.targets.accelerator.quantisation.fewer_bits import reduce_weights
from condense_compiler.targets.accelerator.quantisation.forms import forms_of
from condense_compiler.targets.accelerator.quantisation.precision import (
    give_ends_types,
    use_single_precision,
)
from condense_compiler.targets.accelerator.quantisation.rank_sums import keep_rank_sums_exact
from condense_compiler.targets.accelerator.quantisation.samples import (
    Sample,
    drawn_samples,
    read_samples,
)
from condense_compiler.targets.accelerator.quantisation.static import quantise, substitute
from condense_compiler.targets.accelerator.quantisation.substitution import take_up_pads
from condense_compiler.targets.accelerator.quantisation.unfolding import unfold

Model = str | Path | onnx.ModelProto

UNCALIBRATED = (
    "no calibration samples: ranges come from {count} random ones; give --calibration for "
    "ranges that suit real images"
)

# Passes that find less to do, or nothing, once weights are integers and maps are quantised.
_BEFORE_QUANTISING = frozenset(("clean_up", "fold_batch_norm", "fold_constants", "fold_pads"))

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
        applied: What passes did to the model before it was quantised.
        steps: How many operators each other step made or replaced, by its name.
    """

    quantised: onnx.ModelProto
    unfolded: onnx.ModelProto
    forms: Forms
    applied: Sequence[AppliedPass]
    steps: Mapping[str, int]


def prepare(
    source: Model,
    dims: Mapping[str, int] | None,
    calibration: Path | None,
    weight_bits: int,
    passes: Sequence[Pass],
    *,
    all_accelerated: bool,
) -> Prepared:
    """Quantise a model unless it is, and write its quantisation as arithmetic.

    Args:
        source: The model.
        dims: Sizes of symbolic dimensions.
        calibration: Samples; some are drawn where there are none.
        weight_bits: Bits of the weights, unless the model is quantised.
        passes: The passes that will run; some of them run before quantising as well.
        all_accelerated: Every operator must run on the accelerator.

    Raises:
        InputError: Model or samples cannot be used.
    """
    source, network, types = _loaded(source, dims)
    if _is_quantised(network.graph):
        steps = substitute(network, [take_up_pads])
        model = network.to_model()
        _check_averages(network)
        standard = in_standard_operators(source)
        given = _as_given(source) if standard is not source else model
        given, model = (_with_types(each, types) for each in (given, model))
        forms = forms_of(given)
        _warn_of_biases(given, forms)
        return Prepared(given, unfold(model, forms), forms, (), steps)
    applied = run_passes(network, [step for step in passes if step.name in _BEFORE_QUANTISING])
    steps = substitute(network)
    if all_accelerated:
        check_operators(network.graph)  # before what takes most of the time
    model = quantise(network, _samples(network, calibration))
    keep_rank_sums_exact(model)
    reduce_weights(model, weight_bits)
    model = _with_types(model, types)
    forms = forms_of(model)
    steps["quantise"] = sum(node.op_type == "QuantizeLinear" for node in model.graph.node)
    return Prepared(model, unfold(model, forms), forms, applied, steps)


def _is_quantised(graph: gs.Graph) -> bool:
    """Tell whether feature maps are quantised already."""
    return any(node.op == "QuantizeLinear" or node.op in SPLIT_UP for node in graph.nodes)


def _loaded(
    source: Model, dims: Mapping[str, int] | None
) -> tuple[Model, Network, Mapping[str, int]]:
    """Load a model in operators that can be quantised, in float32.

    Returns:
        The model as given, or with operators of a newer version; the network, its operators on
        codes split up; and the types of those ends of it that are of another floating-point type.
    """
    network = load_network(source, dims)
    name, lifted, types = network.name, lift(network), use_single_precision(network)
    if lifted or types:
        source, dims = network.to_model(), None
    standard = in_standard_operators(source)
    if standard is not source:
        network = load_network(standard, dims)
        network.name = name
    return source, network, types


def _check_averages(network: Network) -> None:
    """Refuse averages between codes that ONNX Runtime takes as its own, and then cannot compute.

    Raises:
        UnsupportedError: There is one.
    """
    for node in network.graph.nodes:
        if node.op == "AveragePool" and is_dilated(node):
            raise UnsupportedError(
                f"node '{node.name}' (AveragePool): ONNX Runtime cannot run it between codes with "
                "dilations; give the model before it was quantised, and --allow-fallback"
            )


def _samples(network: Network, calibration: Path | None) -> list[Sample]:
    if calibration is not None:
        return read_samples(calibration, network.graph.inputs)
    samples = drawn_samples(network.graph.inputs)
    warnings.warn(UNCALIBRATED.format(count=len(samples)), stacklevel=3)
    return samples


def _with_types(model: onnx.ModelProto, types: Mapping[str, int]) -> onnx.ModelProto:
    """Return a model in float32 that has other types at its ends."""
    if not types:
        return model
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    give_ends_types(changed, types)
    return changed


def _warn_of_biases(given: onnx.ModelProto, forms: Forms) -> None:
    layers = [
        name
        for name in layers_with_bias_in_other_units(given)
        if forms.get(name, ON_CODES).adds_bias_codes
    ]
    if layers:
        others = f", as {len(layers) - 1} more," if len(layers) > 1 else ""
        warnings.warn(MISTAKEN_BIAS.format(first=layers[0], others=others), stacklevel=3)


def _as_given(source: Model) -> onnx.ModelProto:
    """Return a model with all its weights."""
    return source if isinstance(source, onnx.ModelProto) else onnx.load(source)
