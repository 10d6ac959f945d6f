"""What an instruction is: a record of fields, and a row that says everything else about it.

From rows come encoder, decoder and text form (`program`), what is legal, which bytes are touched
(barriers of the code generator, checks of the simulator), cycles, and the tables of
docs/accelerator.md. What an instruction computes is in `simulator/units.py`; which operator becomes
it, in `codegen/starts.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Generic, TypeVar

from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.isa.areas import Access, Area
from condense_compiler.targets.accelerator.isa.fields import Group, layout_of
from condense_compiler.targets.accelerator.isa.records import NO_WAITS, Queue, Waits
from condense_compiler.targets.accelerator.machine import Machine

OPCODE_BITS = 8
WORD_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What starts a unit: every instruction."""

    waits: Annotated[Waits, "what must have finished before it starts"] = NO_WAITS


S = TypeVar("S", bound=Start)
Rule = tuple[str, Callable[[S], bool]]  # what is expected, and whether it is so


@dataclass(frozen=True)
class Instruction(Generic[S]):
    """A row of the table.

    Attributes:
        name: In the text form.
        opcode: First byte.
        record: Its fields.
        queue: Where it waits for its turn.
        reads: Bytes of each operand, none where it has none.
        writes: Bytes of each result.
        cycles: How long it holds its unit, or the port to DRAM.
        rules: What its fields must be together.
        macs: Multiply-accumulate operations.
        needs: What the machine must have.
        in_place: Whether each element is read before it is written, so that the result may be an
            operand.
        traffic: What its transfer is counted as.
        layout: Where its fields stand, behind the opcode.
    """

    name: str
    opcode: int
    record: type[S]
    queue: Queue
    reads: Mapping[str, Callable[[S], Area | None]]
    writes: Mapping[str, Callable[[S], Area]]
    cycles: Callable[[S, Machine], int]
    rules: tuple[Rule[S], ...] = ()
    macs: Callable[[S], int] = lambda _: 0
    needs: tuple[tuple[str, Callable[[S, Machine], bool]], ...] = ()
    in_place: bool = False
    traffic: str = ""
    layout: Group[S] = field(init=False)

    def __post_init__(self) -> None:
        """Derive the layout."""
        object.__setattr__(self, "layout", layout_of(self.record, OPCODE_BITS))

    @property
    def size_bytes(self) -> int:
        """Bytes of its word: whole groups of 64 bits."""
        return -(-(OPCODE_BITS + self.layout.bits) // 64) * 8

    def access(self, start: S) -> Access:
        """Return what it touches."""
        reads = {name: area for name, of in self.reads.items() if (area := of(start)) is not None}
        return Access(reads, {name: of(start) for name, of in self.writes.items()})

    def check(self, start: S, machine: Machine) -> None:
        """Refuse what no machine, or not this one, can do.

        Raises:
            InputError: A field, or several together, break a rule.
        """
        self.layout.pack(start)
        for expected, holds in self.rules:
            if not holds(start):
                raise InputError(f"expected {expected}")
        for expected, is_there in self.needs:
            if not is_there(start, machine):
                raise InputError(f"expected {expected}")
