"""Colours and words of the pictures; the colours are told apart by colour-blind people too."""

from collections.abc import Mapping
from dataclasses import dataclass

from condense_compiler.operators.definition import Kind


@dataclass(frozen=True, slots=True)
class Paint:
    """How a kind of feature map is drawn.

    Attributes:
        fill: Colour of its rectangles (Okabe and Ito's palette).
        edge: Colour of their edges: darker, so that thin rectangles can be seen on any ground.
        ink: Colour of text on them.
        ansi: The nearest of a terminal's 256 colours.
        text: What the legend says.
    """

    fill: str
    edge: str
    ink: str
    ansi: int
    text: str


PAINTS: Mapping[Kind, Paint] = {
    Kind.INPUT: Paint("#56b4e9", "#3a7a9e", "#000000", 74, "network input"),
    Kind.OUTPUT: Paint("#0072b2", "#004d79", "#ffffff", 25, "network output"),
    Kind.CONVOLUTION: Paint("#e69f00", "#9c6c00", "#000000", 172, "convolution"),
    Kind.FUSED: Paint("#009e73", "#006b4e", "#ffffff", 36, "fused, wide maps virtual"),
    Kind.POOLING: Paint("#cc79a7", "#8a5271", "#000000", 175, "pooling"),
    Kind.ELEMENT_WISE: Paint("#f0e442", "#a39b2c", "#000000", 227, "element-wise"),
    Kind.MOVED: Paint("#d55e00", "#903f00", "#ffffff", 166, "moved or copied"),
    Kind.OTHER: Paint("#a6a6a6", "#707070", "#000000", 247, "other"),
}
