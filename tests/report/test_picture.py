import itertools
import json

import pytest
from kit.pictures import concatenating_picture, widened_picture

from condense_compiler.operators.definition import Kind
from condense_compiler.passes.cross_channel_pooling import CrossChannelPooling
from condense_compiler.report.explain import Role, explain
from condense_compiler.report.picture import FeatureMap, Picture, PictureStep, PlanPicture

PICTURES = {"widened": widened_picture, "concatenating": concatenating_picture}


@pytest.fixture(params=PICTURES)
def picture(request: pytest.FixtureRequest) -> Picture:
    return PICTURES[request.param]()


@pytest.fixture(params=["before", "after"])
def plan(request: pytest.FixtureRequest, picture: Picture) -> PlanPicture:
    return picture.sides[request.param]


def covered(maps: list[FeatureMap]) -> int:
    spans = sorted((each.offset, each.offset + each.size) for each in maps)
    total = end = 0
    for bottom, top in spans:
        total += max(top - max(bottom, end), 0)
        end = max(end, top)
    return total


def test_the_picture_survives_json(picture: Picture) -> None:
    assert Picture.from_dict(json.loads(json.dumps(picture.to_dict()))) == picture


def test_the_load_is_what_the_maps_alive_cover(plan: PlanPicture) -> None:
    for number, step in enumerate(plan.steps):
        assert step.load == covered(list(plan.alive_at(number)))
    assert plan.peak_bytes == max(step.load for step in plan.steps)


def test_rectangles_do_not_overlap(plan: PlanPicture) -> None:
    for one, other in itertools.combinations(plan.maps, 2):
        together = one.drawn_from < other.drawn_to and other.drawn_from < one.drawn_to
        meet = one.offset < other.offset + other.size and other.offset < one.offset + one.size
        assert not (together and meet), f"{one.tensor} lies on {other.tensor}"


def test_everything_lies_in_the_arena(plan: PlanPicture) -> None:
    tops = [each.offset + each.size for each in plan.maps]
    assert max(tops) == plan.arena_bytes
    assert all(0 <= each.first <= each.last < len(plan.steps) for each in plan.maps)


def test_readers_and_writers_run_while_a_map_is_alive(plan: PlanPicture) -> None:
    step_of = {name: n for n, step in enumerate(plan.steps) for name in step.operators}
    for each in plan.maps:
        if each.operator:
            assert step_of[each.operator] == each.first
        readers = [step_of[name] for name in each.readers]
        expected = len(plan.steps) - 1 if each.kept else max(readers, default=each.first)
        assert each.last == expected


def test_wide_maps_are_gone_and_their_operator_is_known() -> None:
    picture = widened_picture()
    stored = {each.tensor for each in picture.after.maps}
    assert stored.isdisjoint(ghost.tensor for ghost in picture.gone)
    convolutions = [ghost for ghost in picture.gone if ghost.op == "Conv"]
    assert len(convolutions) == 8
    for ghost in convolutions:
        assert ghost.pass_name == CrossChannelPooling.name
        assert ghost.drawn_from is not None
        step = picture.after.steps[int(ghost.drawn_from)]
        assert step.operators[0] == ghost.operator
        assert step.kind is Kind.FUSED


def test_ghosts_stand_on_what_is_stored() -> None:
    picture = widened_picture()
    for ghost in picture.gone:
        assert ghost.drawn_from is not None
        assert ghost.drawn_to is not None
        step = int(ghost.drawn_from)
        alive = picture.after.alive_at(step)
        assert ghost.offset >= max(each.offset + each.size for each in alive)
        assert step <= ghost.drawn_from < ghost.drawn_to <= step + 1


def test_parts_of_concatenations_and_handed_over_places_are_told() -> None:
    maps = concatenating_picture().after.maps
    assert any(each.part_of for each in maps)
    takers = {each.tensor: each for each in maps if each.overwrites}
    assert takers
    for each in maps:
        if each.overwritten_by:
            assert takers[each.overwritten_by].first == each.last


def test_the_explanation_counts_what_is_alive(plan: PlanPicture) -> None:
    why = explain(plan)
    assert why is not None
    alive = plan.alive_at(plan.peak_steps[0])
    assert {each.tensor for each in why.alive} == {each.tensor for each in alive}
    assert why.working_set_bytes <= why.peak_bytes == plan.peak_bytes
    assert why.next_peak_bytes < why.peak_bytes
    for each in why.alive:
        assert each.peak_without <= why.peak_bytes
        if each.role is Role.WRITTEN:
            assert each.first == why.step


def test_what_waits_is_told_apart_and_why_it_waits() -> None:
    maps = (
        _map("long", "a", 0, 2, ("c",), offset=0, size=4),
        _map("short", "a", 0, 1, ("b",), offset=4, size=1),
        _map("now", "b", 1, 2, ("c",), offset=5, size=2),
    )
    steps = tuple(
        PictureStep((name,), ("Conv",), Kind.CONVOLUTION, load)
        for name, load in (("a", 5), ("b", 7), ("c", 6))
    )
    why = explain(PlanPicture(7, 7, optimal=True, order_optimal=False, maps=maps, steps=steps))
    assert why is not None
    assert why.step == 1
    roles = {each.tensor: each.role for each in why.alive}
    assert roles == {"long": Role.WAITING, "short": Role.READ, "now": Role.WRITTEN}
    assert why.working_set_bytes == 3
    assert {each.tensor: each.peak_without for each in why.alive}["long"] == 3
    assert any("long" in line and "it needs now" in line for line in why.advice)


def _map(
    tensor: str, operator: str, first: int, last: int, readers: tuple[str, ...], **place: int
) -> FeatureMap:
    return FeatureMap(
        tensor=tensor,
        operator=operator,
        op="Conv",
        kind=Kind.CONVOLUTION,
        shape=(1,),
        dtype="float",
        first=first,
        last=last,
        readers=readers,
        kept=False,
        **place,
    )
