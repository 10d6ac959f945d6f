"""Two compilations side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from condense_compiler.report.tables import align
from condense_compiler.report.words import change

# Where in report.json each compared quantity stands.
_QUANTITIES: Mapping[str, tuple[str, ...]] = {
    "arena bytes": ("feature_maps", "after", "arena_bytes"),
    "lower bound bytes": ("feature_maps", "after", "lower_bound_bytes"),
    "all feature maps bytes": ("feature_maps", "after", "sum_bytes"),
    "arena bytes as given": ("feature_maps", "before", "arena_bytes"),
    "traffic bytes": ("traffic_bytes", "after"),
    "multiply-accumulates": ("macs",),
}
_LISTS: Mapping[str, str] = {"fused": "pattern", "refused": "reason"}


def compare_reports(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two reports have in numbers, and what only one of them fused or refused."""
    quantities = {
        name: {"a": _find(one, path), "b": _find(two, path)} for name, path in _QUANTITIES.items()
    }
    for entry in quantities.values():
        entry["difference"] = entry["b"] - entry["a"]
    return {
        "a": {key: one[key] for key in ("model", "target")},
        "b": {key: two[key] for key in ("model", "target")},
        "quantities": quantities,
        **{name: _only(one[name], two[name], detail) for name, detail in _LISTS.items()},
    }


def _find(report: Mapping[str, Any], path: Sequence[str]) -> int:
    value: Any = report
    for key in path:
        value = value[key]
    return int(value)


def _only(
    one: Sequence[Mapping[str, str]], two: Sequence[Mapping[str, str]], detail: str
) -> dict[str, list[str]]:
    left, right = ([f"{e['node']}: {e[detail]}" for e in entries] for entries in (one, two))
    return {
        "only_a": [line for line in left if line not in right],
        "only_b": [line for line in right if line not in left],
    }


def comparison_text(names: tuple[str, str], comparison: Mapping[str, Any]) -> str:
    """Return a comparison as a person reads it."""
    quantities: Mapping[str, Mapping[str, int]] = comparison["quantities"]
    rows = [
        (f"{e['a']:,}", f"{e['b']:,}", change(e["a"], e["b"]), name)
        for name, e in quantities.items()
    ]
    lines = align([(*names, "change", ""), *rows], right=3)
    for kind in _LISTS:
        for side, name in zip(("only_a", "only_b"), names, strict=True):
            entries = comparison[kind][side]
            if entries:
                lines += [f"{kind} in {name} alone: {len(entries)}", *(f"  {e}" for e in entries)]
    return "\n".join(lines)
