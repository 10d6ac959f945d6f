"""What a compilation did and saved, as plain records; `to_dict` is the form of report.json."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from condense_compiler.errors import InputError
from condense_compiler.files.manifest import Artefact
from condense_compiler.network.interface import QuantisedValue
from condense_compiler.report.floating import FloatMap
from condense_compiler.report.memory_figures import (
    Footprint,
    MemoryFigures,
    PlannedFigures,
    Residency,
)
from condense_compiler.request import Request

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class FusedLayer:
    """A pooled convolution that became one operator."""

    node: str
    pass_name: str
    pattern: str
    virtual_bytes: int


@dataclass(frozen=True, slots=True)
class RefusedLayer:
    """A pattern that was recognised and left alone."""

    node: str
    pass_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class CopiedPart:
    """A part of a concatenation that could not be produced in place."""

    node: str
    tensor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Verification:
    """How the compiled network compares with what it must equal.

    Attributes:
        largest_difference: Largest absolute difference of any output element.
        relative_difference: The same, as a share of the largest magnitude of that output.
        tolerance: What `relative_difference` may be at most.
        of_codes: Quantised values were compared: the largest difference is in steps of the
            scale, the relative one is the share of values that differ.
        against: What it was compared with.
        output: Name of the output that is farthest from agreeing, if outputs were compared.
        moved: How far next to nothing moves the network as given, in the unit of
            `relative_difference`; the tolerance follows from that. None where the type's own
            tolerance was enough.
    """

    largest_difference: float
    relative_difference: float
    tolerance: float
    of_codes: bool = False
    against: str = "ONNX Runtime"
    output: str | None = None
    moved: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the outputs agree."""
        return self.relative_difference <= self.tolerance

    def to_dict(self) -> dict[str, Any]:
        """Return it as it stands in report.json, which knows no infinity."""
        finite = {
            name: value if not isinstance(value, float) or math.isfinite(value) else None
            for name, value in asdict(self).items()
        }
        return finite | {"passed": self.passed}


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to say about a compilation.

    Attributes:
        request: What was asked for.
        macs: Multiply-accumulate operations of one run of the compiled network.
        macs_before: The same for the network as given.
        footprint: What is stored and moved, before and after.
        fused: What became virtual.
        refused: What was recognised and left alone.
        overwritten: Results that take the place of an input.
        accumulated: Convolutions that add their result straight to what it is added to.
        viewed: Operators that have nothing to do, because their result is a view.
        copied: Parts of concatenations that could not be produced in place.
        quantised_values: Inputs and outputs that are quantised values, where that was asked for.
        in_floating_point: Maps of a network in 8 bits that are not quantised.
        prepared: How often each step of the target's own was needed before the passes, by name.
        rewrites: How much each pass did, by its name and options.
        target_facts: What the target has to say, such as its scratch memory.
        seconds: Time of each stage.
        verification: How outputs compare; None if that was not asked for.
        artefacts: The files beside the report, once it is saved.
    """

    request: Request
    macs: int
    macs_before: int
    footprint: Footprint
    fused: Sequence[FusedLayer]
    refused: Sequence[RefusedLayer]
    overwritten: int
    accumulated: int
    viewed: int
    copied: Sequence[CopiedPart]
    quantised_values: Sequence[QuantisedValue]
    in_floating_point: Sequence[FloatMap]
    prepared: Mapping[str, int]
    rewrites: Mapping[str, int]
    target_facts: Mapping[str, object]
    seconds: Mapping[str, float] = field(default_factory=dict)
    verification: Verification | None = None
    artefacts: Sequence[Artefact] = ()

    @property
    def model(self) -> str:
        """Path of the model as it was given, or its name."""
        return self.request.model

    @property
    def target(self) -> str:
        """Name of the target."""
        return self.request.target

    @property
    def before(self) -> MemoryFigures:
        """Memory of the network as given."""
        return self.footprint.before

    @property
    def after(self) -> PlannedFigures:
        """Memory of the compiled network."""
        return self.footprint.after

    @property
    def traffic_before(self) -> int:
        """Bytes read and written by the network as given."""
        return self.footprint.traffic_before

    @property
    def traffic_after(self) -> int:
        """Bytes read and written by the compiled network."""
        return self.footprint.traffic_after

    @property
    def residency(self) -> Residency | None:
        """What stays on the chip; None where there is one memory."""
        return self.footprint.residency

    @property
    def fits(self) -> bool:
        """Whether the arena is within the limit that was set, if one was."""
        limit = self.request.memory_limit_bytes
        return limit is None or self.after.arena_bytes <= limit

    @property
    def succeeded(self) -> bool:
        """Whether it fits, and the outputs agree where they were compared."""
        return self.fits and (self.verification is None or self.verification.passed)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as it stands in report.json."""
        return {
            "model": self.model,
            "target": self.target,
            "request": self.request.to_dict(),
            "macs": self.macs,
            "macs_before": self.macs_before,
            "feature_maps": {"before": asdict(self.before), "after": asdict(self.after)},
            "traffic_bytes": {"before": self.traffic_before, "after": self.traffic_after},
            "residency": None if self.residency is None else asdict(self.residency),
            "fits": self.fits,
            "fused": [_layer(layer) for layer in self.fused],
            "refused": [_layer(layer) for layer in self.refused],
            "shared": {
                "overwritten": self.overwritten,
                "accumulated": self.accumulated,
                "views": self.viewed,
                "copied": [asdict(part) for part in self.copied],
            },
            "quantised_values": [asdict(value) for value in self.quantised_values],
            "in_floating_point": [asdict(each) for each in self.in_floating_point],
            "prepared": dict(self.prepared),
            "rewrites": dict(self.rewrites),
            "target_facts": dict(self.target_facts),
            "seconds": {stage: round(seconds, 6) for stage, seconds in self.seconds.items()},
            "verification": None if self.verification is None else self.verification.to_dict(),
            "artefacts": [asdict(artefact) for artefact in self.artefacts],
        }

    def to_frame(self) -> "pandas.DataFrame":
        """Return what was saved as a table: a row for each quantity, columns before and after.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - not needed for anything else
        except ImportError as error:
            raise InputError("a frame needs pandas: pip install pandas") from error
        rows = {
            "arena_bytes": (self.before.arena_bytes, self.after.arena_bytes),
            "lower_bound_bytes": (self.before.lower_bound_bytes, self.after.lower_bound_bytes),
            "sum_bytes": (self.before.sum_bytes, self.after.sum_bytes),
            "traffic_bytes": (self.traffic_before, self.traffic_after),
            "macs": (self.macs_before, self.macs),
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=["before", "after"])

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from condense_compiler.report.notebook import report_html  # noqa: PLC0415 - reads reports

        return report_html(self)


def _layer(layer: FusedLayer | RefusedLayer) -> dict[str, Any]:
    fields = asdict(layer)
    return {"node": fields.pop("node"), "pass": fields.pop("pass_name"), **fields}
