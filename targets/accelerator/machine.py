"""The machine that is compiled for and simulated: a few numbers, read from TOML."""

import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from condense_compiler.errors import InputError

MACHINES = Path(__file__).parent / "machines"
_LIMIT = 1 << 31
_ACCUMULATOR_BYTES = 4


@dataclass(frozen=True, slots=True)
class Machine:
    """Sizes of the units and memories.

    Attributes:
        rows: Wide channels that are computed at once.
        lanes: Products added for each of them in one cycle.
        feature_map_bytes: On-chip memory for feature maps.
        weight_buffer_bytes: On-chip memory for weights, used as two halves.
        accumulators: 32-bit registers of a block: rows times pixels.
        dram_bytes_per_cycle: Width of the external memory's port.
        burst_bytes: External memory is read and written in whole bursts.
        dram_latency_cycles: From a request to its first byte.
        block_overhead_cycles: Filling and draining the pipeline, once for each block.
        pooling_unit: Whether accumulators can be pooled across channels.
        name: What reports call it.
    """

    rows: int
    lanes: int
    feature_map_bytes: int
    weight_buffer_bytes: int
    accumulators: int
    dram_bytes_per_cycle: int
    burst_bytes: int
    dram_latency_cycles: int
    block_overhead_cycles: int
    pooling_unit: bool
    name: str = "custom"

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            InputError: One is missing its sense.
        """
        for field in NUMBERS:
            value = getattr(self, field)
            if type(value) is not int or not 0 < value < _LIMIT:
                raise InputError(f"machine {self.name!r}: {field} must be a positive number")
        if type(self.pooling_unit) is not bool:
            raise InputError(f"machine {self.name!r}: pooling_unit must be true or false")
        if self.accumulators < self.rows:
            raise InputError(f"machine {self.name!r}: fewer accumulators than rows")

    @property
    def pooling_unit_bytes(self) -> int:
        """Storage that the cross-channel pooling unit adds.

        For each row a running result and a member that is being ranked, both of 32 bits.
        """
        return 2 * _ACCUMULATOR_BYTES * self.rows if self.pooling_unit else 0

    @property
    def on_chip_bytes(self) -> int:
        """All memory on the chip, but for the pooling unit's."""
        registers = self.accumulators * _ACCUMULATOR_BYTES
        return self.feature_map_bytes + self.weight_buffer_bytes + registers

    def to_dict(self) -> dict[str, object]:
        """Return the description as JSON values."""
        return asdict(self)


NUMBERS = tuple(f.name for f in fields(Machine) if f.type in (int, "int"))


def machine_names() -> list[str]:
    """Return the names of the machines that come with the compiler."""
    return sorted(path.stem for path in MACHINES.glob("*.toml"))


def read_machine(name: str) -> Machine:
    """Return a machine by its name, or from a TOML file.

    Raises:
        InputError: There is none, or it is not a description of a machine.
    """
    path = MACHINES / f"{name}.toml" if name in machine_names() else Path(name)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(machine_names())
        raise InputError(
            f"machine {name!r}: {error.strerror or error}; give a TOML file or one of {known}"
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    expected = {f.name for f in fields(Machine)}
    for key in content.keys() - expected:
        raise InputError(f"{path}: unknown entry {key!r}; known are {', '.join(sorted(expected))}")
    for key in sorted(expected - content.keys() - {"name"}):
        raise InputError(f"{path}: entry {key!r} is missing")
    return Machine(**{"name": path.stem} | content)
