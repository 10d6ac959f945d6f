"""Writes docs/report.md: the fields of report.json and picture.json."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from condense_compiler.report.picture import FeatureMap, GoneMap, Picture, PictureStep, PlanPicture

SCHEMA_FILE = Path(__file__).parents[1] / "report.schema.json"

INTRODUCTION = """\
# What is written: report and picture

`condense compile network.onnx -o out` writes `report.json` and `picture.json` beside the model and
the plan. `--json` prints the report instead of the text, `condense view out --json` the picture.
`python docs/make_pages.py` writes this page from the schema and from the records of the code.

## report.json

The schema is [report.schema.json](report.schema.json), which tests hold reports to.

| field | type | meaning |
|---|---|---|
"""

BEFORE_PICTURE = """
## picture.json

What `condense view` shows, in whatever form. `before` and `after` are plans; `gone` lists the maps
of `before` that `after` has no bytes for. A plan also has `peak_bytes`, its largest load, and
`peak_steps`, the steps where it is reached.
"""

# How the records are called in picture.json.
RECORDS: Mapping[type, str] = {
    Picture: "picture",
    PlanPicture: "plan: `before` and `after`",
    FeatureMap: "feature map: `maps`",
    PictureStep: "step: `steps`",
    GoneMap: "gone map: `gone`",
}
_ENTRY = re.compile(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", re.MULTILINE)


def page() -> str:
    """Return the page."""
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    lines = [*_fields(schema, ""), BEFORE_PICTURE]
    for record, title in RECORDS.items():
        lines += [f"### {title}\n", "| field | meaning |", "|---|---|", *_attributes(record), ""]
    return INTRODUCTION + "\n".join(lines).rstrip() + "\n"


def _fields(schema: Mapping[str, Any], prefix: str) -> Iterable[str]:
    """Return a row for each field; fields of objects and of lists of objects behind theirs."""
    for name, field in schema.get("properties", {}).items():
        yield f"| `{prefix}{name}` | {_type(field)} | {field['description']} |"
        yield from _fields(field, f"{prefix}{name}.")
        yield from _fields(field.get("items", {}), f"{prefix}{name}[].")
        for choice in field.get("oneOf", ()):
            yield from _fields(choice, f"{prefix}{name}.")


def _type(field: Mapping[str, Any]) -> str:
    kind = field.get("type") or [choice["type"] for choice in field["oneOf"]]
    return kind if isinstance(kind, str) else " or ".join(kind)


def _attributes(record: type) -> Iterable[str]:
    """Return a row for each field of a record, from its docstring."""
    documented = dict(_ENTRY.findall(record.__doc__ or ""))
    for field in dataclasses.fields(record):
        yield f"| `{field.name}` | {' '.join(documented[field.name].split())} |"
