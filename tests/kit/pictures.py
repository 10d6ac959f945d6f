"""Pictures of plans to test what shows them."""

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial

import condensation_net
import onnx

from condense_compiler.driver import plan_request
from condense_compiler.memory.buffers import Buffer
from condense_compiler.memory.planner import plan
from condense_compiler.operators.definition import Kind
from condense_compiler.report.picture import FeatureMap, Picture, PictureStep, PlanPicture
from condense_compiler.request import Request
from kit.models import hydrated
from kit.small_models import model, node, value


def widened() -> onnx.ModelProto:
    """Return a small network with cross-channel pooling."""
    return condensation_net.build(k=4, width=0.25, size=64)


@cache
def widened_picture() -> Picture:
    """Return the picture of a network whose wide maps become virtual."""
    return plan_request(Request.of(widened())).picture()


@cache
def idle_picture() -> Picture:
    """Return the picture of a network that has nothing to do: its output is a view."""
    flatten = model([node("Flatten", ["x"], ["y"])], [value("x", [1, 2, 3])], [value("y", [1, 6])])
    return plan_request(Request.of(flatten)).picture()


@cache
def concatenating_picture() -> Picture:
    """Return the picture of a network with concatenations in place and overwriting."""
    return plan_request(Request.of(hydrated("squeezenet1_1"))).picture()


def proved_picture(*, optimal: bool = False, lower_bound_bytes: int | None = None) -> Picture:
    """Return a picture of whose compiled arena less is proved, or nothing."""
    picture = widened_picture()
    bound = lower_bound_bytes or picture.after.lower_bound_bytes
    proved = {"optimal": optimal, "order_optimal": False, "lower_bound_bytes": bound}
    return replace(picture, after=replace(picture.after, **proved))


# What is said of an arena -> a picture of which it is true.
PROOFS: Mapping[str, Callable[[], Picture]] = {
    "proved minimal for every order": widened_picture,
    "proved minimal for this order": partial(proved_picture, optimal=True),
    "not proved minimal, at least 1 KiB": partial(proved_picture, lower_bound_bytes=1024),
}


def crowded_picture(count: int) -> Picture:
    """Return a picture of `count` feature maps and steps on either side."""
    generator = random.Random(7)  # noqa: S311 - not for secrets
    buffers = [
        Buffer(
            f"tensor{number}",
            lower=number,
            upper=min(count, number + 1 + int(generator.paretovariate(1.1))),
            size=generator.randrange(1, 64) * 1024,
        )
        for number in range(count)
    ]
    placed = plan(buffers)
    changes = [0] * (count + 1)
    for buffer in buffers:
        changes[buffer.lower] += buffer.size
        changes[buffer.upper] -= buffer.size
    kinds = list(Kind)
    maps = tuple(
        FeatureMap(
            tensor=buffer.id,
            operator=f"operator{number}",
            op="Conv",
            kind=kinds[number % len(kinds)],
            shape=(1, buffer.size // 4096, 32, 32),
            dtype="float",
            size=buffer.size,
            offset=placed.offsets[buffer.id],
            first=buffer.lower,
            last=buffer.upper - 1,
            readers=(f"operator{buffer.upper - 1}",),
            kept=False,
            storage=buffer.id,
        )
        for number, buffer in enumerate(buffers)
    )
    steps = tuple(
        PictureStep((f"operator{number}",), ("Conv",), kinds[number % len(kinds)], load)
        for number, load in enumerate(itertools.islice(itertools.accumulate(changes), count))
    )
    side = PlanPicture(
        placed.arena_bytes,
        placed.lower_bound_bytes,
        optimal=placed.optimal,
        order_optimal=False,
        maps=maps,
        steps=steps,
    )
    return Picture("crowded", side, side, ())
