"""Reading report.json: every field that docs/report.schema.json lists is there and of its type."""

from collections.abc import Mapping

from condense_compiler.files.manifest import read_artefacts
from condense_compiler.report.fields import (
    FieldCheck,
    anything,
    by_name,
    flag,
    integer,
    many,
    number,
    optional,
    record,
    text,
    whole,
)
from condense_compiler.report.stages import STAGES
from condense_compiler.request import check_request

_STORAGE: Mapping[str, FieldCheck] = {
    "arena_bytes": whole,
    "lower_bound_bytes": whole,
    "sum_bytes": whole,
}


def _artefacts(value: object, _where: str) -> None:
    read_artefacts(value)


_FIELDS: Mapping[str, FieldCheck] = {
    "model": text,
    "target": text,
    "request": check_request,
    "macs": whole,
    "macs_before": whole,
    "feature_maps": record(
        {
            "before": record(_STORAGE),
            "after": record({**_STORAGE, "optimal": flag, "order_optimal": flag}),
        }
    ),
    "traffic_bytes": record({"before": whole, "after": whole}),
    "residency": optional(
        record({"on_chip": whole, "in_dram": whole, "dram_bytes": whole, "traffic_optimal": flag})
    ),
    "fits": flag,
    "fused": many(record({"node": text, "pass": text, "pattern": text, "virtual_bytes": whole})),
    "refused": many(record({"node": text, "pass": text, "reason": text})),
    "shared": record(
        {
            "overwritten": whole,
            "accumulated": whole,
            "views": whole,
            "copied": many(record({"node": text, "tensor": text, "reason": text})),
        }
    ),
    "quantised_values": many(
        record({"name": text, "dtype": text, "scale": number, "zero_point": integer})
    ),
    "in_floating_point": many(
        record({"tensor": text, "node": text, "bytes": whole, "reason": text})
    ),
    "prepared": by_name(whole),
    "rewrites": by_name(whole),
    "target_facts": by_name(anything),
    "seconds": record(dict.fromkeys(STAGES, number)),
    "verification": optional(
        record(
            {
                "largest_difference": optional(number),
                "relative_difference": optional(number),
                "tolerance": number,
                "passed": flag,
                "of_codes": flag,
                "against": text,
                "output": optional(text),
                "moved": optional(number),
            }
        )
    ),
    "artefacts": _artefacts,
}

check_report = record(_FIELDS)
