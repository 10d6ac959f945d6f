"""Rewrites of a network, one in each file; the file's name is the pass's name.

Other packages add passes through the entry-point group `condense_compiler.passes`: each entry
names a frozen dataclass that follows `condense_compiler.rewriting.Pass`.
"""

from typing import Any, cast

from condense_compiler.errors import InputError
from condense_compiler.option_text import configured, read_calls
from condense_compiler.passes.clean_up import CleanUp
from condense_compiler.passes.cross_channel_pooling import CrossChannelPooling
from condense_compiler.passes.drop_signs import DropSigns
from condense_compiler.passes.fold_batch_norm import FoldBatchNorm
from condense_compiler.passes.fold_channel_shuffle import FoldChannelShuffle
from condense_compiler.passes.fold_constants import FoldConstants
from condense_compiler.passes.fold_linear_pooling import FoldLinearPooling
from condense_compiler.passes.fold_pads import FoldPads
from condense_compiler.passes.fuse_elementwise import FuseElementwise
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
)

_BY_NAME = {step.name: step for step in DEFAULT_PASSES}


def pass_names() -> list[str]:
    """Return the names of all passes: the default ones in their order, then installed ones."""
    return [*_BY_NAME, *installed_names(ENTRY_POINTS)]


def find_passes(text: str) -> tuple[Pass, ...]:
    """Return the passes of a text such as `clean_up,my_pass(size=4,shape=[1,2])`, in its order.

    Raises:
        InputError: It is not written like that, no pass has such a name, or the pass no such
            option.
    """
    calls = read_calls(text)
    return tuple(
        cast(Pass, configured(f"pass {name!r}", _pass_class(name), options))
        for name, options in calls
    )


def find_pass(text: str) -> Pass:
    """Return one pass, as `find_passes` does."""
    found = find_passes(text)
    if len(found) != 1:
        raise InputError(f"{text!r} names {len(found)} passes; give one")
    return found[0]


def _pass_class(name: str) -> Any:
    if name in _BY_NAME:
        return type(_BY_NAME[name])
    installed = load_installed(ENTRY_POINTS, name)
    if installed is None:
        raise unknown_name("pass", name, pass_names())
    return installed


__all__ = ["DEFAULT_PASSES", "find_pass", "find_passes", "pass_names"]
