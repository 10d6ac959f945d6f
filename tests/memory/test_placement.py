"""Placement: layouts of ordered networks, and the check that refuses wrong ones."""

from dataclasses import replace

import pytest
from kit.models import hydrated, model_names

from condense_compiler.errors import ContractError
from condense_compiler.memory.order import file_order
from condense_compiler.memory.placement import Placement, place
from condense_compiler.memory.placement_check import check_placement
from condense_compiler.memory.sharing import Sharing, resolve_sharing
from condense_compiler.network import load_network
from condense_compiler.passes import DEFAULT_PASSES
from condense_compiler.rewriting import run_passes

HEAVY = {"condensation_net", "wide_resnet50_2", "ecaresnetlight", "res2net50_14w_8s"}


def placed(name: str) -> tuple[Sharing, Placement]:
    network = load_network(hydrated(name), {"batch": 1} if "batch" in name else None)
    run_passes(network, DEFAULT_PASSES)
    sharing = resolve_sharing(network, file_order(network))
    steps = [(n,) for n in range(len(sharing.order)) if n not in sharing.idle]
    return sharing, place(sharing, steps)


@pytest.mark.parametrize("name", [name for name in model_names() if name not in HEAVY])
def test_the_arena_is_as_small_as_the_order_allows(name: str) -> None:
    _, placement = placed(name)
    assert placement.plan.optimal
    assert placement.plan.arena_bytes == placement.plan.lower_bound_bytes


@pytest.fixture(scope="module")
def googlenet() -> tuple[Sharing, Placement]:
    return placed("googlenet")


def check(sharing: Sharing, placement: Placement) -> None:
    check_placement(sharing, placement.steps, placement.offsets, placement.plan.arena_bytes)


def test_a_map_moved_over_another_is_refused(googlenet: tuple[Sharing, Placement]) -> None:
    sharing, placement = googlenet
    alone = [g for g in sharing.positions.groups() if len(g.tensors) == 1 and g.stretches]
    refused = 0
    for group in alone:
        (name,) = group.tensors
        for distance in (-4096, 4096):
            offsets = {**placement.offsets, name: placement.offsets[name] + distance}
            try:
                check(sharing, replace(placement, offsets=offsets))
            except ContractError:
                refused += 1
    assert refused > len(alone) / 2


def test_a_view_moved_away_from_its_tensor_is_refused(
    googlenet: tuple[Sharing, Placement],
) -> None:
    sharing, placement = googlenet
    group = next(g for g in sharing.positions.groups() if len(g.tensors) > 1)
    name = list(group.tensors)[-1]
    offsets = {**placement.offsets, name: placement.offsets[name] + 4}
    with pytest.raises(ContractError, match="lie apart"):
        check(sharing, replace(placement, offsets=offsets))


def test_a_map_without_a_place_is_refused(googlenet: tuple[Sharing, Placement]) -> None:
    sharing, placement = googlenet
    name = sharing.writings[5].tensor
    offsets = {key: value for key, value in placement.offsets.items() if key != name}
    with pytest.raises(ContractError, match="has no place"):
        check(sharing, replace(placement, offsets=offsets))


def test_an_arena_that_is_too_small_is_refused(googlenet: tuple[Sharing, Placement]) -> None:
    sharing, placement = googlenet
    arena_bytes = placement.plan.arena_bytes - 1
    with pytest.raises(ContractError, match="outside the arena"):
        check_placement(sharing, placement.steps, placement.offsets, arena_bytes)


def test_an_order_that_the_placement_was_not_made_for_is_refused(
    googlenet: tuple[Sharing, Placement],
) -> None:
    sharing, placement = googlenet
    with pytest.raises(ContractError, match="written over"):
        check(sharing, replace(placement, steps=list(reversed(placement.steps))))
