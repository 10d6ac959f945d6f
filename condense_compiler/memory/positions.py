"""Which tensors share memory, and where they lie relative to each other."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes that one operator writes, relative to the origin of a group.

    Attributes:
        number: Identifies the stretch within the network.
        bottom: First byte.
        top: First byte behind.
    """

    number: int
    bottom: int
    top: int

    def meets(self, other: "Stretch") -> bool:
        """Tell whether both have a byte in common."""
        return self.bottom < other.top and other.bottom < self.top

    def shifted(self, distance: int) -> "Stretch":
        """Return the same stretch, seen from another origin."""
        return Stretch(self.number, self.bottom + distance, self.top + distance)


@dataclass(slots=True)
class Group:
    """Tensors whose positions relative to each other are fixed.

    Attributes:
        tensors: Position of each tensor's first byte, by name.
        stretches: The bytes that are written, each by one operator. Two that meet are never needed
            at the same time.
    """

    tensors: dict[str, int] = field(default_factory=dict)
    stretches: list[Stretch] = field(default_factory=list)


class Positions:
    """All groups of a network; tensors join as more is known about where they lie."""

    def __init__(self) -> None:
        self._group_of: dict[str, Group] = {}
        self._contents: dict[str, frozenset[int]] = {}
        self._origins: dict[int, int] = {}

    def copy(self) -> "Positions":
        """Return groups that can be joined without changing these."""
        copied = {
            id(group): Group(dict(group.tensors), list(group.stretches)) for group in self.groups()
        }
        result = Positions()
        result._group_of = {name: copied[id(group)] for name, group in self._group_of.items()}
        result._contents, result._origins = self._contents, self._origins
        return result

    def add(self, name: str) -> None:
        """Give a tensor a group of its own."""
        self._group_of[name] = Group(tensors={name: 0})
        self._contents[name] = frozenset()

    def write(self, name: str, number: int, offset: int, size: int) -> Stretch:
        """Note that an operator writes some bytes of a tensor."""
        group = self._group_of[name]
        bottom = group.tensors[name] + offset
        stretch = Stretch(number, bottom, bottom + size)
        group.stretches.append(stretch)
        self._contents[name] |= {number}
        return stretch

    def contain(self, name: str, other: str) -> None:
        """Note that a tensor holds, of what it shares with another, what that one holds."""
        self._contents[name] |= self._contents[other]

    def divide(self, stretch: Stretch, edge: int, number: int) -> list[Stretch]:
        """Return both parts of a stretch, the second under a number of its own."""
        self._origins[number] = self._origins.get(stretch.number, stretch.number)
        below = Stretch(stretch.number, stretch.bottom, edge)
        return [below, Stretch(number, edge, stretch.top)]

    def __contains__(self, name: str) -> bool:
        return name in self._group_of

    def group_of(self, name: str) -> Group:
        """Return the group of a tensor."""
        return self._group_of[name]

    def groups(self) -> list[Group]:
        """Return every group once, in the order in which its first tensor was added."""
        return list({id(group): group for group in self._group_of.values()}.values())

    def stretches_of(self, name: str, size: int) -> list[Stretch]:
        """Return the stretches that hold bytes of a tensor of the given size."""
        group = self._group_of[name]
        bottom = group.tensors[name]
        whole = Stretch(-1, bottom, bottom + size)
        held = self._contents[name]
        return [
            stretch
            for stretch in group.stretches
            if stretch.meets(whole) and self._origins.get(stretch.number, stretch.number) in held
        ]

    def distance(self, name: str, other: str, shift: int) -> tuple[Group, Group, int]:
        """Return the groups of two tensors, and how far the second group has to move.

        `shift` is the position that `other` is to have, relative to `name`.
        """
        one, two = self._group_of[name], self._group_of[other]
        return one, two, one.tensors[name] + shift - two.tensors[other]

    def join(self, one: Group, two: Group, distance: int) -> None:
        """Make one group of two, the second moved by a distance.

        The smaller one moves into the larger, so that many joins take little longer than one.
        """
        if len(two.tensors) > len(one.tensors):
            one, two, distance = two, one, -distance
        one.stretches += [stretch.shifted(distance) for stretch in two.stretches]
        for name, position in two.tensors.items():
            one.tensors[name] = position + distance
            self._group_of[name] = one
