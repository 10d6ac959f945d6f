"""Whether a run would take hours, or more memory than it may."""

from condense_compiler.limits import limits
from condense_compiler.network import Network
from condense_compiler.report.cost import total_operations


def check_effort(network: Network, arena_bytes: int, purpose: str) -> None:
    """Refuse a run that is above a limit.

    Args:
        network: What would run.
        arena_bytes: Its arena.
        purpose: What the run is for, the beginning of the message.

    Raises:
        InputError: It is.
    """
    place = f"{purpose} of '{network.name}'"
    limits().check("arena_bytes", arena_bytes, place)
    limits().check("operations", total_operations(network.graph.nodes), place)
