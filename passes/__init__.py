"""Rewrites of a network, one in each file; the file's name is the pass's name."""

from condense_compiler.passes.clean_up import CleanUp
from condense_compiler.passes.cross_channel_pooling import CrossChannelPooling
from condense_compiler.passes.fold_batch_norm import FoldBatchNorm
from condense_compiler.passes.fold_constants import FoldConstants
from condense_compiler.passes.fold_linear_pooling import FoldLinearPooling
from condense_compiler.passes.postpone_activations import PostponeActivations
from condense_compiler.rewriting.contract import Pass

# What `condense compile` runs unless told otherwise, in this order.
DEFAULT_PASSES: tuple[Pass, ...] = (
    CleanUp(),
    FoldConstants(),
    FoldBatchNorm(),
    CrossChannelPooling(),
    PostponeActivations(),
    FoldLinearPooling(),
)

__all__ = ["DEFAULT_PASSES"]
