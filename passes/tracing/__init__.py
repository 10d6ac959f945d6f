"""What each tensor of a network holds, in terms of a convolution's channels.

`trace` walks the network once and gives tensors a `View` where it can: which channel of which
convolution stands at each element, what was computed from it, and over which channels it was
reduced. Every spelling of cross-channel pooling ends in the same kind of view, so that the pass
which fuses them sees none of the spellings.
"""

from condense_compiler.passes.tracing.trace import trace
from condense_compiler.passes.tracing.views import View

__all__ = ["View", "trace"]
