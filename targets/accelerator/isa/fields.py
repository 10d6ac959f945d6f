"""How records become bits, text and tables of the documentation: from their annotations alone.

A record is a frozen dataclass. Each attribute is annotated with the kind of its value and with
what it means, `Annotated[int, Whole(24), "rows of bytes"]`, or is a record or a tuple of such
itself. The fields of a record stand side by side in the order of its attributes, the first in the
lowest bits.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar, cast, get_args, get_origin, get_type_hints

from condense_compiler.errors import InputError
from condense_compiler.targets.accelerator.isa.kinds import Kind, Value

R = TypeVar("R")
_NONE = dataclasses.MISSING


@dataclass(frozen=True, slots=True)
class Field:
    """A number at its place.

    Attributes:
        name: Its path from the outermost record, such as `input.address`.
        kind: What values it takes.
        meaning: What it means there.
        offset: Its lowest bit.
        default: What it holds where nothing needs it; `MISSING` if it is always needed.
    """

    name: str
    kind: Kind
    meaning: str
    offset: int
    default: Any

    @property
    def bits(self) -> int:
        """Width."""
        return self.kind.bits

    def fields(self) -> Iterator["Field"]:
        """Yield this."""
        yield self

    def pack(self, value: Any) -> int:
        """Return the bits of a value at their place.

        Raises:
            InputError: The field does not take the value.
        """
        try:
            return self.kind.encode(value) << self.offset
        except ValueError as error:
            raise InputError(f"{self.name}: {error}") from None

    def unpack(self, word: int) -> Value:
        """Return the value that stands in a word.

        Raises:
            InputError: The bits stand for none.
        """
        try:
            return self.kind.decode((word >> self.offset) & ((1 << self.bits) - 1))
        except ValueError as error:
            raise InputError(f"{self.name}: {error}") from None


@dataclass(frozen=True)
class Group(Generic[R]):
    """A record, or a tuple, at its place.

    Attributes:
        record: The class; none of a tuple.
        name: As that of a field.
        meaning: What it means there.
        offset: Its lowest bit.
        names: What its parts are called in it.
        parts: Its fields and groups.
    """

    record: type[R] | None
    name: str
    meaning: str
    offset: int
    names: tuple[str, ...]
    parts: tuple["Field | Group[Any]", ...]

    @cached_property
    def bits(self) -> int:
        """Width."""
        return sum(part.bits for part in self.parts)

    def fields(self) -> Iterator[Field]:
        """Yield all fields, the lowest first."""
        for part in self.parts:
            yield from part.fields()

    def pack(self, value: R) -> int:
        """Return the bits of a record at their place.

        Raises:
            InputError: A field does not take its value.
        """
        values = value if isinstance(value, tuple) else [getattr(value, n) for n in self.names]
        word = 0
        for part, each in zip(self.parts, values, strict=True):
            word |= part.pack(each)
        return word

    def unpack(self, word: int) -> R:
        """Return the record that stands in a word.

        Raises:
            InputError: Some bits stand for no value.
        """
        values = [part.unpack(word) for part in self.parts]
        if self.record is None:
            return cast("R", tuple(values))
        return self.record(**dict(zip(self.names, values, strict=True)))

    def to_text(self, value: R) -> str:
        """Return `name=value` of all fields that do not hold their default."""
        word = self.pack(value)
        found = ((field, field.unpack(word)) for field in self.fields())
        return " ".join(f"{field.name}={each}" for field, each in found if each != field.default)

    def from_text(self, words: Sequence[str]) -> R:
        """Read the text form back.

        Raises:
            InputError: A field is unknown, given twice, missing, or does not take the value.
        """
        given = dict(word.partition("=")[::2] for word in words)
        if len(given) < len(words):
            raise InputError("a field is given twice")
        word = 0
        for field in self.fields():
            text = given.pop(field.name, None)
            if text is None and field.default is _NONE:
                raise InputError(f"{field.name} is missing")
            try:
                value = field.default if text is None else field.kind.parse(text)
            except (KeyError, ValueError):
                raise InputError(f"{field.name}: cannot read {text!r}") from None
            word |= field.pack(value)
        if given:
            raise InputError(f"unknown field {next(iter(given))}")
        return self.unpack(word)


def layout_of(record: type[R], offset: int = 0) -> Group[R]:
    """Return where the fields of a record stand, from a bit on."""
    return _group(record, "", "", offset, _NONE)


def _group(record: type[R], name: str, meaning: str, offset: int, default: object) -> Group[R]:
    hints = get_type_hints(record, include_extras=True)
    parts: list[Field | Group[Any]] = []
    attributes = dataclasses.fields(record)  # type: ignore[arg-type]
    place = offset
    for attribute in attributes:
        inner = attribute.default if default is _NONE else getattr(default, attribute.name)
        path = f"{name}.{attribute.name}" if name else attribute.name
        parts.append(_part(hints[attribute.name], path, place, inner))
        place += parts[-1].bits
    names = tuple(attribute.name for attribute in attributes)
    return Group(record, name, meaning, offset, names, tuple(parts))


def _part(hint: Any, name: str, offset: int, default: Any) -> "Field | Group[Any]":
    base, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    meaning = next((note for note in reversed(notes) if isinstance(note, str)), "")
    kind = next((note for note in notes if not isinstance(note, str)), None)
    if kind is not None:
        return Field(name, kind, meaning, offset, default)
    if get_origin(base) is not tuple:
        return _group(base, name, meaning, offset, default)
    parts: list[Field | Group[Any]] = []
    place = offset
    for number, each in enumerate(get_args(base)):
        inner = _NONE if default is _NONE else default[number]
        parts.append(_part(each, f"{name}.{number}", place, inner))
        place += parts[-1].bits
    names = tuple(str(number) for number in range(len(parts)))
    return Group[Any](None, name, meaning, offset, names, tuple(parts))
