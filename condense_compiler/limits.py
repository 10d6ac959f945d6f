"""How much a network may ask for before it is refused: limits that users can raise.

A file of a hundred bytes can ask for terabytes or for years. What it asks for is counted before
anything is allocated or computed, and refused with one line.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace

from condense_compiler.errors import InputError


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a network may have of each.

    Attributes:
        file_bytes: Bytes of a file that is read whole: a model, a folder's report, an array.
        tensor_bytes: Bytes of one feature map, with its padding, or of one folded constant.
        constant_bytes: Bytes of everything that is computed from constants alone.
        arena_bytes: Bytes of the arena, where the network is to run or to be verified.
        operators: Operators, once functions are inlined; calls of functions count as well.
        window_taps: Taps of one pooling window.
        operations: Multiply-accumulates, and taps of pooling windows, of a run.
    """

    file_bytes: int = 2**31 - 1
    tensor_bytes: int = 2**29
    constant_bytes: int = 2**31
    arena_bytes: int = 2**31
    operators: int = 250_000
    window_taps: int = 2**20
    operations: int = 10**12

    def check(self, name: str, amount: int, place: str) -> None:
        """Refuse an amount above a limit.

        Args:
            name: The limit.
            amount: What is asked for.
            place: What asks for it, the beginning of the message.

        Raises:
            InputError: It is too much.
        """
        most: int = getattr(self, name)
        if amount > most:
            raise InputError(
                f"{place}: {_shown(amount)} {_UNITS[name]}, more than the limit of {most:,}; "
                f"raise it with --limit {name}={_next(amount)}"
            )

    def changes(self) -> dict[str, int]:
        """Return the limits that are not the default ones, as `with_changes` takes them."""
        return {
            n: getattr(self, n) for n in LIMIT_NAMES if getattr(self, n) != getattr(_DEFAULT, n)
        }


_UNITS: Mapping[str, str] = {
    "file_bytes": "bytes to read",
    "tensor_bytes": "bytes for one tensor",
    "constant_bytes": "bytes of computed constants",
    "arena_bytes": "bytes of feature maps at once",
    "operators": "operators and calls",
    "window_taps": "taps in one window",
    "operations": "operations",
}

LIMIT_NAMES = tuple(field.name for field in fields(Limits))

_DEFAULT = Limits()
_current: ContextVar[Limits] = ContextVar("limits", default=_DEFAULT)


def limits() -> Limits:
    """Return the limits in force."""
    return _current.get()


def put_in_force(chosen: Limits) -> None:
    """Put limits in force for the rest of the context, as the command line does."""
    _current.set(chosen)


@contextmanager
def applied(chosen: Limits | None) -> Iterator[None]:
    """Put limits in force while the block runs; None leaves those that are."""
    token = _current.set(chosen or limits())
    try:
        yield
    finally:
        _current.reset(token)


def with_changes(changes: Mapping[str, int], base: Limits = _DEFAULT) -> Limits:
    """Return limits, the default ones unless told, with some of them changed.

    Raises:
        InputError: There is no such limit, or the number is not positive.
    """
    for name, most in changes.items():
        if name not in LIMIT_NAMES:
            raise InputError(f"there is no limit {name!r}; there are {', '.join(LIMIT_NAMES)}")
        if most < 1:
            raise InputError(f"limit {name!r}: {most} is not a positive number")
    return replace(base, **changes)


def _shown(amount: int) -> str:
    return f"{amount:,}" if amount < 10**18 else f"{amount:.1e}" if amount < 10**300 else "> 10^300"


def _next(amount: int) -> str:
    return str(amount) if amount < 10**18 else "N"
