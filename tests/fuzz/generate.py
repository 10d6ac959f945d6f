"""Random valid networks: `generate(seed)` returns the same one for the same seed.

Over the operators that the project knows, of every opset, in every spelling of the kit, with
batches above one, weights that several operators share, outputs that are read inside, equal values,
and in 8 bits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from fuzz import codes, moving, others, pixelwise, windows
from fuzz.draft import Array, Draft, UnfitError, model_of, tensor_info

OPSETS = range(11, 25)
LARGEST = 14  # recipes; each adds one operator or several
ATTEMPTS = 200
Recipe = Callable[[Draft], None]
PLAIN: Sequence[Recipe] = (
    *(*pixelwise.RECIPES, *pixelwise.RECIPES, *windows.RECIPES, *windows.RECIPES),
    *(*moving.RECIPES, *moving.RECIPES, *others.RECIPES),
)
ON_CODES: Sequence[Recipe] = 6 * (*codes.RECIPES, *codes.RECIPES, *others.ON_CODES)


@dataclass(frozen=True)
class Generated:
    """A network and an input for it.

    Attributes:
        model: The network.
        feeds: An input, by name.
        values: Every tensor that is computed from it, by name, as ONNX Runtime computes it.
    """

    model: onnx.ModelProto
    feeds: dict[str, Array]
    values: dict[str, Array]


def generate(seed: int) -> Generated:
    """Return the network of a seed."""
    random = np.random.default_rng(seed)
    draft = Draft(
        random,
        opset=int(random.choice(OPSETS)),
        dtype=np.dtype(random.choice(["float32"] * 10 + ["float64", "float16"])),
        coarse=bool(random.random() < 0.3),
    )
    draft.quantised = draft.dtype == np.float32 and draft.chance(0.3)
    _grow(draft)
    return Generated(_model(draft), draft.feeds, draft.values)


def _grow(draft: Draft) -> None:
    batch, channels = draft.choose([1, 1, 1, 2, 3]), draft.number(1, 8)
    pixels = [draft.number(1, 9) for _ in range(draft.choose([2, 2, 2, 2, 1, 3]))]
    for _ in range(draft.choose([1, 1, 2])):
        draft.input((batch, channels, *pixels))
    wanted = draft.number(1, LARGEST)
    recipes = [*PLAIN, *(ON_CODES if draft.quantised else ())]
    for _ in range(ATTEMPTS):
        try:
            draft.choose(recipes)(draft)
        except UnfitError:
            continue
        if draft.quantised and draft.chance(0.7):
            _quantise_last(draft)
        wanted -= 1
        if wanted < 1 and draft.nodes:
            return


def _quantise_last(draft: Draft) -> None:
    """Round what was computed last to codes, as quantisers do behind every operator."""
    last = list(draft.values)[-1]
    if draft.values[last].dtype == draft.dtype and last not in draft.read:
        codes.dequantise(draft, codes.quantise(draft, last))


def _model(draft: Draft) -> onnx.ModelProto:
    computed = [name for name in draft.values if name not in draft.feeds]
    outputs = [name for name in computed if name not in draft.read]
    also = [name for name in computed if name in draft.read and draft.chance(0.08)]
    nodes, initializers = list(draft.nodes), []
    made = {name for node in nodes for name in node.output}
    for name in sorted(set(draft.constants) & draft.read - made):
        tensor = numpy_helper.from_array(draft.constants[name], name)
        if draft.chance(0.1):
            nodes.insert(
                0, helper.make_node("Constant", [], [name], f"constant/{name}", value=tensor)
            )
        else:
            initializers.append(tensor)
    graph = helper.make_graph(
        nodes,
        "random",
        [tensor_info(name, value) for name, value in draft.feeds.items()],
        [tensor_info(name, draft.values[name]) for name in (*outputs, *also)],
        initializers,
    )
    return model_of(graph, draft.opset)
