"""Rewrites of a network, one in each file; the file's name is the pass's name.

Other packages add passes through the entry-point group `condense_compiler.passes`: each entry
names a frozen dataclass that follows `condense_compiler.rewriting.Pass`.
"""

from typing import cast

from condense_compiler.passes.clean_up import CleanUp
from condense_compiler.passes.cross_channel_pooling import CrossChannelPooling
from condense_compiler.passes.drop_signs import DropSigns
from condense_compiler.passes.fold_batch_norm import FoldBatchNorm
from condense_compiler.passes.fold_channel_shuffle import FoldChannelShuffle
from condense_compiler.passes.fold_constants import FoldConstants
from condense_compiler.passes.fold_linear_pooling import FoldLinearPooling
from condense_compiler.passes.fold_pads import FoldPads
from condense_compiler.passes.fuse_elementwise import FuseElementwise
from condense_compiler.passes.fuse_epilogues import FuseEpilogues
from condense_compiler.passes.move_codes import MoveCodes
from condense_compiler.passes.postpone_activations import PostponeActivations
from condense_compiler.passes.stay_in_codes import StayInCodes
from condense_compiler.plugins import installed_names, load_installed, unknown_name
from condense_compiler.rewriting.contract import Pass

ENTRY_POINTS = "condense_compiler.passes"

# What `condense compile` runs unless told otherwise, in this order.
DEFAULT_PASSES: tuple[Pass, ...] = (
    CleanUp(),
    FoldConstants(),
    DropSigns(),
    FoldPads(),
    FoldBatchNorm(),
    CrossChannelPooling(),
    PostponeActivations(),
    FoldChannelShuffle(),
    FoldLinearPooling(),
    MoveCodes(),
    StayInCodes(),
    FuseElementwise(),
    FuseEpilogues(),
)

_BY_NAME = {step.name: step for step in DEFAULT_PASSES}


def pass_names() -> list[str]:
    """Return the names of all passes: the default ones in their order, then installed ones."""
    return [*_BY_NAME, *installed_names(ENTRY_POINTS)]


def find_pass(name: str) -> Pass:
    """Return a pass with its default options.

    Raises:
        InputError: No pass has this name.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    installed = load_installed(ENTRY_POINTS, name)
    if installed is None:
        raise unknown_name("pass", name, pass_names())
    return cast(Pass, installed())


__all__ = ["DEFAULT_PASSES", "find_pass", "pass_names"]
