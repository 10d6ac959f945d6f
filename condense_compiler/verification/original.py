"""The model as given in ONNX Runtime, and what becomes of it when next to nothing changes."""

from collections.abc import Iterator
from typing import Any

import onnx

from condense_compiler.errors import InputError
from condense_compiler.network import Network, load_network
from condense_compiler.network.selection import Model
from condense_compiler.verification.disturbance import changes, disturbed
from condense_compiler.verification.inputs import Array, Feeds, dims_of

Outputs = dict[str, Array]

_TIMES = 4


class Original:
    """A model as given, run as it is written.

    Args:
        source: The model.
    """

    def __init__(self, source: Model) -> None:
        self._source = source
        self._sessions: dict[bool, Any] = {}

    def run(self, feeds: Feeds, *, optimised: bool = False) -> Outputs:
        """Return its outputs by name.

        Args:
            feeds: Its inputs, by name.
            optimised: Whether ONNX Runtime may optimise it first.

        Raises:
            InputError: ONNX Runtime cannot run the model.
        """
        try:
            if optimised not in self._sessions:
                self._sessions[optimised] = _session(self._source, optimised=optimised)
            return _run(self._sessions[optimised], feeds)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's exceptions share no other base
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise InputError(
                f"ONNX Runtime cannot run the model to verify against: {reason}"
            ) from None

    def run_moved(self, feeds: Feeds, unit: float) -> Iterator[Outputs]:
        """Yield the outputs after changes that mean nothing.

        Each number that an operator reads from an input or another operator goes up or down by a
        unit in the last place, at random; and once ONNX Runtime may optimise the model.

        Args:
            feeds: The inputs, by name.
            unit: Distance above one of the numbers that the changes are a unit of.
        """
        network = disturbed(self.network(feeds))
        moving = Original(network.to_model())
        for seed in range(_TIMES):
            yield moving.run(changes(network, feeds, unit, seed))
        try:
            yield self.run(feeds, optimised=True)
        except InputError:
            return  # ONNX Runtime's optimiser fails on it, which tells nothing about its numbers

    def network(self, feeds: Feeds) -> Network:
        """Return the model as loaded for inputs of the shapes of `feeds`."""
        model = self._source
        if not isinstance(model, onnx.ModelProto):
            model = onnx.load(model, load_external_data=False)
        return load_network(self._source, dims_of(model, feeds))


def original_outputs(source: Model, feeds: Feeds, *, optimised: bool = False) -> Outputs:
    """Run the model as given in ONNX Runtime.

    Args:
        source: The model.
        feeds: Its inputs, by name.
        optimised: Whether ONNX Runtime may optimise it first.

    Raises:
        InputError: ONNX Runtime cannot run the model.
    """
    return Original(source).run(feeds, optimised=optimised)


def _session(source: Model, *, optimised: bool) -> Any:
    import onnxruntime as ort  # noqa: PLC0415 - takes a moment, and only verification needs it

    options = ort.SessionOptions()
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    content = source.SerializeToString() if isinstance(source, onnx.ModelProto) else str(source)
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _run(session: Any, feeds: Feeds) -> Outputs:
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))
