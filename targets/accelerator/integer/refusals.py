"""What the accelerator refuses: which node, why, and the way out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import onnx_graphsurgeon as gs

from condense_compiler.errors import UnsupportedError


class NodeError(UnsupportedError):
    """A node that the accelerator cannot run.

    Attributes:
        node: The node.
        reason: Why it cannot.
    """

    def __init__(self, node: gs.Node, reason: str) -> None:
        self.node, self.reason = node, reason.removeprefix(f"{node.name}: ")
        super().__init__(
            f"node '{node.name}' ({node.op}): {self.reason}; --allow-fallback runs it on the "
            "reference executor"
        )


class OperatorError(UnsupportedError):
    """An integer operator that a machine cannot run.

    Attributes:
        operator: Its name.
        reason: Why it cannot.
    """

    def __init__(self, operator: str, reason: str) -> None:
        self.operator, self.reason = operator, reason
        super().__init__(f"{operator}: {reason}")


@contextmanager
def blaming(node: gs.Node) -> Iterator[None]:
    """Let what is refused inside name a node, and the way out.

    Raises:
        NodeError: Something is refused.
    """
    try:
        yield
    except UnsupportedError as error:
        raise NodeError(node, str(error)) from None


@contextmanager
def blaming_one_of(nodes: Sequence[gs.Node]) -> Iterator[None]:
    """Let an integer operator that is refused inside name the node that it was made of.

    Raises:
        NodeError: An operator is refused.
    """
    try:
        yield
    except OperatorError as error:
        raise NodeError(_node_of(error.operator, nodes), error.reason) from None


def _node_of(operator: str, nodes: Sequence[gs.Node]) -> gs.Node:
    """Return the node that an operator stands for; operators are named after nodes or results."""
    names = {tensor.name: node for node in nodes for tensor in node.outputs}
    names |= {node.name: node for node in nodes}
    fitting = [name for name in names if operator == name or operator.startswith(f"{name}/")]
    return names[max(fitting, key=len)] if fitting else nodes[-1]
