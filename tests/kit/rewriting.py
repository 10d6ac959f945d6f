"""Running passes on a model, and the result in ONNX Runtime."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx
import onnx_graphsurgeon as gs

from condense_compiler.network import Network, load_network
from condense_compiler.network.function_bodies import attach_functions
from condense_compiler.passes import DEFAULT_PASSES
from condense_compiler.rewriting.contract import Pass, PassOutcome
from condense_compiler.rewriting.runner import run_passes
from kit.numerics import Array, Arrays, assert_close, random_feeds, run_onnxruntime

BATCH = 2  # size given to every symbolic dimension


@dataclass(frozen=True)
class Rewritten:
    """A model behind some passes.

    Attributes:
        source: The model as given.
        network: What the passes made of it.
        outcomes: What each pass did, by name.
    """

    source: onnx.ModelProto
    network: Network
    outcomes: Mapping[str, PassOutcome]

    @property
    def model(self) -> onnx.ModelProto:
        """The rewritten model, fused operators as functions."""
        return self.network.to_model(attach_functions)

    @property
    def operators(self) -> list[str]:
        """Its operators, in order."""
        return [node.op for node in self.network.graph.nodes]

    @property
    def fused(self) -> int:
        """Number of pooled layers that became one operator."""
        rewrites = (r for outcome in self.outcomes.values() for r in outcome.rewrites)
        return sum(rewrite.virtual_bytes > 0 for rewrite in rewrites)

    @property
    def reasons(self) -> list[str]:
        """Why layers were refused."""
        return [r.reason for outcome in self.outcomes.values() for r in outcome.refusals]

    def node(self, op: str) -> gs.Node:
        """Return the only node of an operator."""
        [node] = [node for node in self.network.graph.nodes if node.op == op]
        return node

    def outputs(self, feeds: Arrays) -> dict[str, Array]:
        """Run the rewritten model in ONNX Runtime, its optimiser off."""
        return run_onnxruntime(self.model, feeds)

    def check_outputs(self, tolerance: float | None = None, seed: int = 0) -> None:
        """Check that the rewritten model computes what the model as given computes.

        Args:
            tolerance: Largest difference, relative to the largest magnitude; the type's own
                where it is not given.
            seed: Seed of the inputs.
        """
        feeds = random_feeds(self.source, seed, symbolic_sizes(self.source))
        assert_close(self.outputs(feeds), run_onnxruntime(self.source, feeds), tolerance)


def symbolic_sizes(model: onnx.ModelProto) -> dict[str, int]:
    """Return a size for each symbolic dimension of a model's inputs."""
    shapes = (value.type.tensor_type.shape for value in model.graph.input)
    return {size.dim_param: BATCH for shape in shapes for size in shape.dim if size.dim_param}


def rewrite(model: onnx.ModelProto, passes: Iterable[Pass] = DEFAULT_PASSES) -> Rewritten:
    """Load a model and run passes on it."""
    network = load_network(model, symbolic_sizes(model))
    applied: Sequence[tuple[str, PassOutcome]] = [
        (step.name, step.outcome) for step in run_passes(network, passes)
    ]
    return Rewritten(model, network, dict(applied))
