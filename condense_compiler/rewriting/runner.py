"""Runs passes one after the other and holds each to its contract."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from condense_compiler.errors import ContractError
from condense_compiler.network import Network
from condense_compiler.rewriting.contract import Pass, PassOutcome, pass_text
from condense_compiler.rewriting.inspection import find_breach, structure_of


@dataclass(frozen=True, slots=True)
class AppliedPass:
    """A pass and what it did.

    Attributes:
        name: Its name.
        text: Its name, and the options that are not default ones.
        outcome: What it did.
    """

    name: str
    text: str
    outcome: PassOutcome


def run_passes(network: Network, passes: Iterable[Pass]) -> list[AppliedPass]:
    """Apply passes in order, in place.

    Raises:
        ContractError: A pass broke its contract; the message names it and those before it.
    """
    applied: list[AppliedPass] = []
    before = structure_of(network)
    for rewrite in passes:
        outcome = rewrite.apply(network)
        applied.append(AppliedPass(rewrite.name, pass_text(rewrite), outcome))
        after = structure_of(network)
        if (after != before) != bool(outcome.rewrites):
            claim = "a rewrite" if outcome.rewrites else "no rewrite"
            _fail(applied, f"it reports {claim}, but the network tells otherwise")
        breach = find_breach(network, before, after) if after != before else None
        if breach is not None:
            _fail(applied, breach)
        before = after
    return applied


def _fail(applied: Sequence[AppliedPass], reason: str) -> None:
    *earlier, last = [step.name for step in applied]
    history = f" (after {', '.join(earlier)})" if earlier else ""
    raise ContractError(f"pass {last!r}{history} broke its contract: {reason}")
