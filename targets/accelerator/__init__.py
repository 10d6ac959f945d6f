"""An accelerator for convolutions with cross-channel pooling: int8 instructions, a simulator."""

from condense_compiler.targets.accelerator.target import AcceleratorTarget

__all__ = ["AcceleratorTarget"]
