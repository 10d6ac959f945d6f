"""Quantise a model in floating point with ONNX Runtime's own static quantisation."""

import contextlib
import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs

from condense_compiler.errors import InputError
from condense_compiler.network import Network
from condense_compiler.targets.accelerator.integer.checking import is_dilated
from condense_compiler.targets.accelerator.quantisation.naming import name_back, with_plain_names
from condense_compiler.targets.accelerator.quantisation.samples import Sample
from condense_compiler.targets.accelerator.quantisation.session import one_line
from condense_compiler.targets.accelerator.quantisation.substitution import (
    SUBSTITUTIONS,
    Substitution,
)

_MOST_COLUMNS = 1 << 14
_LOG_NOTHING, _LOG_WARNINGS = 4, 2  # severities of ONNX Runtime's messages; the latter is usual

# What its shorter messages mean.
_NOT_FINITE = "with these samples, some feature maps hold values that are not finite"
_MEANINGS = {"All-NaN axis encountered": _NOT_FINITE, "scale issue": _NOT_FINITE}


def substitute(
    network: Network, substitutions: Iterable[Substitution] = SUBSTITUTIONS
) -> dict[str, int]:
    """Replace operators, in place, by those that have an integer form, whatever passes run.

    Returns:
        How many operators each substitution replaced, by its name.
    """
    counts: dict[str, int] = {}
    for substitution in substitutions:
        before = _operators(network)
        substitution(network)
        counts[substitution.__name__] = len(before - _operators(network))
    return counts


def _operators(network: Network) -> set[tuple[str, str]]:
    return {(node.name, node.op) for node in network.graph.nodes}


def quantise(network: Network, samples: Sequence[Sample]) -> onnx.ModelProto:
    """Return the model with QuantizeLinear and DequantizeLinear around every operator.

    Weights are symmetric, signed 8-bit, one scale for each filter. Feature maps are 8-bit without
    sign, since ONNX Runtime computes in integers between those.

    Raises:
        InputError: ONNX Runtime cannot quantise the model.
    """
    from onnxruntime.quantization import (  # noqa: PLC0415 - takes a moment
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self._left = iter(renamed)

        def get_next(self) -> Sample | None:
            return next(self._left, None)

    whole = network.to_model()
    if not whole.graph.node:
        return whole
    given = _without_idle_outputs(whole)
    model, original = with_plain_names(given)
    excluded = {node.name for node in network.graph.nodes if _stays_in_floats(node)}
    inputs = {
        old.name: new.name for old, new in zip(given.graph.input, model.graph.input, strict=True)
    }
    renamed = [{inputs[name]: values for name, values in each.items()} for each in samples]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "quantised.onnx"
        try:
            quantize_static(
                model,
                path,
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=[n.name for n in model.graph.node if original(n.name) in excluded],
                op_types_to_quantize=sorted({node.op_type for node in model.graph.node}),
                extra_options={"ForceQuantizeNoInputCheck": True},
            )
        except Exception as error:  # noqa: BLE001 - its exceptions share no other base
            reason = original(one_line(error))
            reason = _MEANINGS.get(reason, reason)
            message = f"{network.name}: ONNX Runtime cannot quantise it: {reason}"
            raise InputError(message) from None
        quantised = onnx.load(path)
    name_back(quantised, original)
    _give_outputs(quantised, whole.graph)
    return quantised


def _without_idle_outputs(whole: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without the outputs that nothing computes, as quantising them goes wrong."""
    model = onnx.ModelProto()
    model.CopyFrom(whole)
    computed = {name for node in model.graph.node for name in node.output}
    del model.graph.output[:]
    model.graph.output.extend(value for value in whole.graph.output if value.name in computed)
    return model


def _give_outputs(quantised: onnx.ModelProto, whole: onnx.GraphProto) -> None:
    """Give a quantised model all outputs of the whole one, and the constants among them."""
    names = {value.name for value in whole.output} - {t.name for t in quantised.graph.initializer}
    quantised.graph.initializer.extend(t for t in whole.initializer if t.name in names)
    del quantised.graph.output[:]
    quantised.graph.output.extend(whole.output)


def _stays_in_floats(node: gs.Node) -> bool:
    """Tell whether a node is not to be quantised: nothing computes it in integers."""
    return (node.op == "AveragePool" and is_dilated(node)) or _is_huge(node)


def _is_huge(node: gs.Node) -> bool:
    """Tell whether a product has so many columns that a scale for each takes minutes to find.

    Such products mix the weights of experts; they are no layers that the accelerator runs.
    """
    shape = node.inputs[1].shape if node.op == "MatMul" else None
    return shape is not None and shape[-1] > _MOST_COLUMNS


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence advice that quantisation logs on every call, and what ONNX Runtime prints."""
    import onnxruntime as ort  # noqa: PLC0415 - takes a moment

    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    ort.set_default_logger_severity(_LOG_NOTHING)  # what goes wrong becomes an exception
    try:
        yield
    finally:
        logger.setLevel(level)
        ort.set_default_logger_severity(_LOG_WARNINGS)
