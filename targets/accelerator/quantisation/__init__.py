"""From a model in floating point, or one that is quantised already, to one that can be lowered."""

from condense_compiler.targets.accelerator.quantisation.prepare import prepare

__all__ = ["prepare"]
