"""Reference target: numpy, with every feature map at its planned place in one byte arena."""

from condense_compiler.targets.reference.executable import ReferenceExecutable
from condense_compiler.targets.reference.target import ReferenceTarget

__all__ = ["ReferenceExecutable", "ReferenceTarget"]
