"""Reading picture.json: every field is of its type, and steps and maps fit each other."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from condense_compiler.operators.definition import Kind
from condense_compiler.report.fields import (
    FieldCheck,
    flag,
    many,
    number,
    one_of,
    optional,
    record,
    text,
    whole,
)
from condense_compiler.report.picture import FeatureMap, GoneMap, Picture, PictureStep, PlanPicture

_KIND = one_of([kind.value for kind in Kind])
_BYTES_AND_PROOFS: Mapping[str, FieldCheck] = {
    "arena_bytes": whole,
    "lower_bound_bytes": whole,
    "optimal": flag,
    "order_optimal": flag,
}
_MAP: Mapping[str, FieldCheck] = {
    **dict.fromkeys(("tensor", "operator", "op", "dtype", "pass_name", "storage"), text),
    **dict.fromkeys(("overwrites", "overwritten_by"), text),
    **dict.fromkeys(("size", "offset", "first", "last"), whole),
    **dict.fromkeys(("readers", "part_of", "views"), many(text)),
    "kind": _KIND,
    "shape": many(whole),
    "kept": flag,
}
_STEP: Mapping[str, FieldCheck] = {
    "operators": many(text),
    "ops": many(text),
    "kind": _KIND,
    "load": whole,
}
_GONE: Mapping[str, FieldCheck] = {
    **dict.fromkeys(("tensor", "op", "dtype", "operator", "pass_name"), text),
    **dict.fromkeys(("size", "offset"), whole),
    **dict.fromkeys(("drawn_from", "drawn_to"), optional(number)),
    "shape": many(whole),
}
_PLAN = record({**_BYTES_AND_PROOFS, "maps": many(record(_MAP)), "steps": many(record(_STEP))})
_PICTURE = record({"model": text, "before": _PLAN, "after": _PLAN, "gone": many(record(_GONE))})


def picture_of(content: Any) -> Picture:
    """Return the picture that `Picture.to_dict` wrote.

    Raises:
        ValueError: It is something else; the message says where.
    """
    _PICTURE(content, "")
    sides = {name: _plan(content[name], name) for name in ("before", "after")}
    gone = tuple(GoneMap(**_values(GoneMap, entry)) for entry in content["gone"])
    end = len(sides["after"].steps)
    for place, ghost in enumerate(gone):
        if not _is_drawable(ghost, end):
            raise ValueError(f"gone[{place}]: expected steps within 0 to {end}, or null")
    return Picture(model=content["model"], gone=gone, **sides)


def _is_drawable(ghost: GoneMap, end: int) -> bool:
    if ghost.drawn_from is None or ghost.drawn_to is None:
        return ghost.drawn_from is ghost.drawn_to
    return ghost.drawn_from <= ghost.drawn_to <= end


def _plan(content: Mapping[str, Any], name: str) -> PlanPicture:
    maps = tuple(FeatureMap(**_values(FeatureMap, entry)) for entry in content["maps"])
    steps = tuple(PictureStep(**_values(PictureStep, entry)) for entry in content["steps"])
    plan = PlanPicture(maps=maps, steps=steps, **{key: content[key] for key in _BYTES_AND_PROOFS})
    for problem in _problems(plan):
        raise ValueError(f"{name}.{problem}")
    return plan


def _problems(plan: PlanPicture) -> Iterable[str]:
    """Yield what of a plan does not fit together."""
    for place, step in enumerate(plan.steps):
        if not step.operators or len(step.operators) != len(step.ops):
            yield f"steps[{place}]: expected as many operators as types, from one"
    running = {name for step in plan.steps for name in step.operators}
    last = max(len(plan.steps) - 1, 0)
    for place, each in enumerate(plan.maps):
        if not each.first <= each.last <= last:
            yield f"maps[{place}]: expected steps within 0 to {last}"
        if each.offset + each.size > plan.arena_bytes:
            yield f"maps[{place}]: expected bytes within the arena"
        if not running.issuperset(each.readers):
            yield f"maps[{place}].readers: expected operators of the steps"


def _values(record_type: type, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as the records hold them: tuples for lists, kinds for their names."""
    known = {field.name: entry[field.name] for field in fields(record_type) if field.name in entry}
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in known.items()}
    return values | {"kind": Kind(known["kind"])} if "kind" in known else values
