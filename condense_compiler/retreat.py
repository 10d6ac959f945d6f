"""No compiled network needs a larger arena than the network as given: what is done where it would.

Rewriting makes nearly every network smaller. Where it does not, less is rewritten, in the end
nothing; and where the search for an order or for places is misled, the order of the file is kept.

An operator and its activation apart give a map the chance to change its place. Where only that lets
everything fit, they stay apart.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from condense_compiler.memory.arranging import Arrangement, Effort, arrange, arrange_plainly
from condense_compiler.network import Network
from condense_compiler.passes.fuse_epilogues import FuseEpilogues
from condense_compiler.rewriting.contract import Pass
from condense_compiler.rewriting.runner import AppliedPass, run_passes


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A network, rewritten and arranged.

    Attributes:
        network: The rewritten network.
        applied: What each pass did.
        arrangement: What shares memory, runs when, and lies where.
    """

    network: Network
    applied: Sequence[AppliedPass]
    arrangement: Arrangement

    @property
    def arena_bytes(self) -> int:
        """Size of the arena."""
        return self.arrangement.arena_bytes

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing left to search for."""
        return self.arena_bytes <= self.arrangement.aim_bytes


def arrange_rewritten(
    network: Network,
    applied: Sequence[AppliedPass],
    load: Callable[[], Network] | None,
    pipeline: Sequence[Pass],
    effort: Effort,
) -> Rewritten:
    """Arrange a rewritten network, without epilogues if it then needs less.

    Args:
        network: The rewritten network.
        applied: What each pass did.
        load: Returns the network as given, if it can be rewritten again.
        pipeline: The passes that rewrote it.
        effort: How long to search.
    """
    active = {step.name for step in applied if step.outcome.rewrites}
    if load is None or FuseEpilogues.name not in active:
        return Rewritten(network, applied, arrange(network, effort))
    glance = Effort(searches=False)
    found = Rewritten(network, applied, arrange(network, glance))
    if found.is_settled:
        return found
    fewer = [step for step in pipeline if step.name != FuseEpilogues.name]
    apart = _rewrite(load(), fewer, glance)
    if apart.arena_bytes <= found.arrangement.aim_bytes:
        return apart
    return _arranged(min((found, apart), key=_arena_bytes), effort)


def retreat(
    rewritten: Rewritten,
    load: Callable[[], Network],
    pipeline: Sequence[Pass],
    effort: Effort,
    given_bytes: int,
) -> Rewritten:
    """Return what needs no more than the network as given, or else the least that was found.

    Args:
        rewritten: What needs more.
        load: Returns the network as given.
        pipeline: The passes that rewrote it.
        effort: How long to search.
        given_bytes: What the network as given needs.
    """
    best = rewritten
    for candidate in _candidates(rewritten, load, pipeline, effort):
        if candidate.arena_bytes < best.arena_bytes:
            best = candidate
        if best.arena_bytes <= given_bytes:
            break
    return best


def _candidates(
    rewritten: Rewritten, load: Callable[[], Network], pipeline: Sequence[Pass], effort: Effort
) -> Iterator[Rewritten]:
    yield _plainly(rewritten, effort)
    active = {step.name for step in rewritten.applied if step.outcome.rewrites}
    fewer = [[step for step in pipeline if step.name != name] for name in sorted(active)]
    for passes in (*fewer, []):
        found = _rewrite(load(), passes, effort)
        yield found
        yield _plainly(found, effort)


def _arranged(rewritten: Rewritten, effort: Effort) -> Rewritten:
    return replace(rewritten, arrangement=arrange(rewritten.network, effort))


def _arena_bytes(rewritten: Rewritten) -> int:
    return rewritten.arena_bytes


def _rewrite(network: Network, passes: Sequence[Pass], effort: Effort) -> Rewritten:
    applied = run_passes(network, passes)
    return Rewritten(network, applied, arrange(network, effort))


def _plainly(rewritten: Rewritten, effort: Effort) -> Rewritten:
    arrangement = arrange_plainly(rewritten.network, effort)
    return Rewritten(rewritten.network, rewritten.applied, arrangement)
