"""The records that passes return."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from condense_compiler.network import Network
from condense_compiler.option_text import options_text


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One thing that a pass did.

    Attributes:
        node: Name of the node that stood at the place before.
        pattern: What was recognised, for a person to read.
        virtual_bytes: Bytes of feature maps that no longer exist outside an operator.
    """

    node: str
    pattern: str
    virtual_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that a pass recognised and left alone.

    Attributes:
        node: Name of the node where the pattern starts.
        reason: Why, for a person to read.
    """

    node: str
    reason: str


@dataclass(frozen=True, slots=True)
class PassOutcome:
    """What a pass did to a network.

    Attributes:
        rewrites: Everything that was changed; empty if and only if the network is as it was.
        refusals: Everything that was recognised and left alone.
    """

    rewrites: tuple[Rewrite, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class Pass(Protocol):
    """A rewrite of a network: a frozen dataclass whose fields are its options.

    A pass changes the network in place. It keeps the graph acyclic, typed and shaped, valid
    ONNX, with the same inputs and outputs; the runner checks that.
    """

    name: ClassVar[str]

    def apply(self, network: Network) -> PassOutcome:
        """Rewrite the network and tell what was done and what was refused."""
        ...


def pass_text(step: Pass) -> str:
    """Return a pass as text: its name, and the options that are not default ones."""
    return f"{step.name}{options_text(step)}"
