"""Placements as CSV: written, read back, and refused when something was changed."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.models import BRANCHING, hydrated

from condense_compiler.errors import InputError
from condense_compiler.memory.arranging import Effort, arrange
from condense_compiler.memory.buffers import Plan
from condense_compiler.memory.order import file_order
from condense_compiler.memory.placement import Placement, place
from condense_compiler.memory.placement_csv import (
    placement_rows,
    read_placement,
    read_sharing,
    write_placement,
)
from condense_compiler.memory.scheduling import schedule
from condense_compiler.memory.sharing import Sharing, resolve_sharing
from condense_compiler.memory.validation import validate
from condense_compiler.network import load_network
from condense_compiler.passes import DEFAULT_PASSES
from condense_compiler.rewriting import run_passes

# Views and copies, accumulation, overwriting with something left, a network that is one chain.
NAMES = ("shufflenet_v2_x0_5", "ghostnet_050", "googlenet", "ccp_amax", "mnasnet0_5")


@pytest.mark.parametrize("name", ["selecsls42", "unetpp", "dpn48b"])
def test_what_was_taken_out_of_concatenations_is_read_back(name: str, tmp_path: Path) -> None:
    network = load_network(hydrated(name, BRANCHING))
    run_passes(network, DEFAULT_PASSES)
    found = arrange(network, Effort())
    assert bool(found.apart) == (name == "selecsls42")
    placement, path = found.placement, tmp_path / "plan.csv"
    write_placement(path, found.sharing, placement.steps, placement.offsets)
    sharing = read_sharing(path, network)
    steps, offsets, arena_bytes = read_placement(path, sharing)
    assert sharing.copies != resolve_sharing(network, file_order(network)).copies or not found.apart
    assert list(steps) == list(placement.steps)
    assert offsets == placement.offsets
    assert arena_bytes == found.arena_bytes


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_plan_that_shares_nothing_is_read_back(overwrite: bool, tmp_path: Path) -> None:
    network = load_network(hydrated("shufflenet_v2_x0_5"))
    order = file_order(network)
    sharing = resolve_sharing(network, order, resolve_sharing(network, order).shared)
    sharing = sharing if overwrite else replace(sharing, releasing=frozenset())
    assert not sharing.idle
    placement = place(sharing, [(n,) for n in range(len(order))], overwrite=overwrite)
    path = tmp_path / "plan.csv"
    write_placement(path, sharing, placement.steps, placement.offsets)
    steps, offsets, _ = read_placement(path, read_sharing(path, network))
    assert (list(steps), offsets) == (list(placement.steps), placement.offsets)


def placed(name: str) -> tuple[Sharing, Placement]:
    network = load_network(hydrated(name))
    run_passes(network, DEFAULT_PASSES)
    sharing = resolve_sharing(network, file_order(network))
    return sharing, place(sharing, schedule(sharing).steps)


@pytest.fixture(scope="module", params=NAMES)
def case(request: pytest.FixtureRequest) -> tuple[Sharing, Placement]:
    return placed(request.param)


def test_rows_never_share_a_byte(case: tuple[Sharing, Placement]) -> None:
    sharing, placement = case
    rows, offsets = placement_rows(sharing, placement.steps, placement.offsets)
    arena_bytes = max(offsets[row.id] + row.size for row in rows)
    assert arena_bytes == placement.plan.arena_bytes
    validate(rows, Plan(offsets, arena_bytes, 0, optimal=False))


def test_a_placement_is_read_back_as_it_was(
    case: tuple[Sharing, Placement], tmp_path: Path
) -> None:
    sharing, placement = case
    path = tmp_path / "plan.csv"
    write_placement(path, sharing, placement.steps, placement.offsets)
    steps, offsets, arena_bytes = read_placement(path, sharing)
    assert list(steps) == list(placement.steps)
    assert offsets == placement.offsets
    assert arena_bytes == placement.plan.arena_bytes


@pytest.fixture(scope="module")
def ghostnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sharing, list[str], Path]:
    sharing, placement = placed("ghostnet_050")
    path = tmp_path_factory.mktemp("plan") / "plan.csv"
    write_placement(path, sharing, placement.steps, placement.offsets)
    return sharing, path.read_text(encoding="utf-8").splitlines(), path


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_changed_number_is_noticed(
    ghostnet: tuple[Sharing, list[str], Path], data: st.DataObject
) -> None:
    sharing, lines, path = ghostnet
    number = data.draw(st.integers(1, len(lines) - 1))
    cells = lines[number].split(",")
    column = data.draw(st.integers(1, len(cells) - 1))
    change = data.draw(st.integers(-5000, 5000).filter(bool))
    cells[column] = str(int(cells[column]) + change)
    path.write_text("\n".join([*lines[:number], ",".join(cells), *lines[number + 1 :]]) + "\n")
    try:
        _, offsets, _ = read_placement(path, sharing)
    except InputError:
        return
    # A map may move where nothing else lies; everything else is refused.
    assert lines[0].split(",")[column] == "offset"
    assert all(offset >= 0 for offset in offsets.values())


def test_a_missing_row_is_refused(ghostnet: tuple[Sharing, list[str], Path]) -> None:
    sharing, lines, path = ghostnet
    for number in (1, 2, len(lines) // 2):
        path.write_text("\n".join([*lines[:number], *lines[number + 1 :]]) + "\n")
        with pytest.raises(InputError):
            read_placement(path, sharing)
