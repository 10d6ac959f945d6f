"""A plan that is drawn, as a plan of plain buffers: one row for everything that is stored."""

from os import PathLike

from condense_compiler.memory.buffers import Buffer, Plan
from condense_compiler.memory.buffers_csv import write_plan
from condense_compiler.report.picture import PlanPicture


def write_picture(path: str | PathLike[str], plan: PlanPicture) -> None:
    """Write a plan as a CSV file; a map whose place is taken ends when its successor begins.

    Raises:
        InputError: The file cannot be written.
    """
    rows: list[Buffer] = []
    for each in plan.maps:
        upper = each.last if each.overwritten_by else each.last + 1
        rows.append(Buffer(each.tensor, min(each.first, upper - 1), upper, each.size))
    offsets = {each.tensor: each.offset for each in plan.maps}
    write_plan(path, rows, Plan(offsets, plan.arena_bytes, plan.lower_bound_bytes, plan.optimal))
