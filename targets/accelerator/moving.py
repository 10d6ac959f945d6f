"""Operators that move: each result is one of the values that they read, whatever values mean."""

MOVING = frozenset(
    [
        "Concat",
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "MaxPool",
        "Reshape",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    ]
)
_MOVING_TO_NEAREST = frozenset(["Resize", "Upsample"])


def moves(op: str, mode: str = "") -> bool:
    """Tell whether an operator moves.

    Args:
        op: Its ONNX type.
        mode: Its attribute of this name, if it has one.
    """
    return op in MOVING or (op in _MOVING_TO_NEAREST and mode in ("", "nearest"))
