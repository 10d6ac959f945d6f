"""What a pass is, and the runner that holds every pass to it."""

from condense_compiler.rewriting.contract import Pass, PassOutcome, Refusal, Rewrite
from condense_compiler.rewriting.runner import run_passes

__all__ = ["Pass", "PassOutcome", "Refusal", "Rewrite", "run_passes"]
