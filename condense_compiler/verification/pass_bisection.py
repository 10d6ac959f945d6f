"""Finding what changes a network's outputs: a pass, a rewrite in it, or an operator of a target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from condense_compiler.network import Network
from condense_compiler.report.report import Verification
from condense_compiler.rewriting.contract import Pass, Rewrite
from condense_compiler.rewriting.partly import apply_partly
from condense_compiler.rewriting.runner import run_passes
from condense_compiler.verification.comparing import Judge
from condense_compiler.verification.first_difference import FirstTensor, first_difference
from condense_compiler.verification.inputs import Array, Feeds
from condense_compiler.verification.original import Original


@dataclass(frozen=True, slots=True)
class Culprit:
    """The first pass that changes outputs by more than is allowed.

    Attributes:
        pass_name: The pass.
        verification: How the outputs compare behind it.
        rewrite: The first of its rewrites that does it; None where none does on its own account.
        number: Which one that is, from 1.
        rewrites: How many the pass made.
        tensor: The first tensor that differs from before that rewrite; None where none does that
            exists on both sides.
    """

    pass_name: str
    verification: Verification
    rewrite: Rewrite | None
    number: int
    rewrites: int
    tensor: FirstTensor | None


def find_pass_that_differs(
    network: Network, passes: Sequence[Pass], judge: Judge, feeds: Feeds
) -> Culprit | None:
    """Return the first pass, and its first rewrite, that changes the outputs; None if none does.

    Every state of the network runs in ONNX Runtime as it is written, fused operators as the
    functions that they stand for.

    Args:
        network: The network as loaded; it is rewritten.
        passes: The passes, in order.
        judge: Knows the outputs as they should be.
        feeds: Inputs, by name.

    Raises:
        ContractError: A pass broke its contract.
        InputError: ONNX Runtime cannot run a state of the network.
    """
    for rewrite in passes:
        before = network.copy()
        [applied] = run_passes(network, [rewrite])
        if not applied.outcome.rewrites:
            continue
        verification = judge.judge(_outputs(network, feeds))
        if not verification.passed:
            return _narrowed(rewrite, before, network, judge, feeds, applied.outcome.rewrites)
    return None


def _narrowed(
    step: Pass,
    before: Network,
    after: Network,
    judge: Judge,
    feeds: Feeds,
    rewrites: Sequence[Rewrite],
) -> Culprit:
    """Search for the first rewrite of a pass behind which the outputs differ."""
    verification = judge.judge(_outputs(after, feeds))
    culprit = partial(Culprit, step.name, verification, rewrites=len(rewrites))
    state = partial(_with_first, step, before, rewrites)
    good, bad = 0, len(rewrites)
    if not judge.judge(_outputs(state(good), feeds)).passed:
        return culprit(rewrite=None, number=0, tensor=first_difference(before, after, feeds))
    while bad - good > 1:
        middle = (good + bad) // 2
        differs = not judge.judge(_outputs(state(middle), feeds)).passed
        good, bad = (good, middle) if differs else (middle, bad)
    tensor = first_difference(state(good), state(bad), feeds)
    return culprit(rewrite=rewrites[bad - 1], number=bad, tensor=tensor)


def _with_first(step: Pass, before: Network, rewrites: Sequence[Rewrite], count: int) -> Network:
    """Return the network behind only so many of a pass's rewrites."""
    network = before.copy()
    kept = {rewrite.node for rewrite in rewrites[:count]}
    apply_partly(step, network, {rewrite.node for rewrite in rewrites[count:]} - kept)
    return network


def _outputs(network: Network, feeds: Feeds) -> Mapping[str, Array]:
    return Original(network.to_model()).run(feeds)
