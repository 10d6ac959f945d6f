"""Placement problems made to order: every generator is a function of its seed alone."""

import random

from condense_compiler.memory.buffers import Buffer


def uniform(count: int, seed: int) -> list[Buffer]:
    """Return buffers with random lifetimes and sizes; about a third are alive at once."""
    generator = random.Random(seed)  # noqa: S311 - problems, not secrets
    buffers = []
    for index in range(count):
        first, last = sorted((generator.randrange(count), generator.randrange(count)))
        buffers.append(Buffer(str(index), first, last + 1, 64 * generator.randint(1, 16384)))
    return buffers


def short_lived(count: int, seed: int) -> list[Buffer]:
    """Return buffers as programs make them: most die young, a few live long."""
    generator = random.Random(seed)  # noqa: S311
    buffers = []
    for index in range(count):
        lower = generator.randrange(count)
        length = min(int(generator.paretovariate(0.8)), count)
        size = 16 * int(min(generator.paretovariate(0.7), 2**20))
        buffers.append(Buffer(str(index), lower, lower + length, size))
    return buffers


def training(count: int, seed: int) -> list[Buffer]:
    """Return the buffers of one training step of a deep network.

    Activations live from their forward to their backward step, gradients of activations for a
    few steps, gradients of weights until the optimizer at the end, whose states live throughout;
    every operator has a short workspace.
    """
    generator = random.Random(seed)  # noqa: S311
    layers = count // 7
    turn = 3 * layers
    end = 2 * turn + layers
    buffers: list[Buffer] = []

    def add(lower: int, upper: int, size: int) -> None:
        buffers.append(Buffer(str(len(buffers)), lower, min(upper, end), max(size, 4)))

    width = 1 << 22
    for layer in range(layers):
        if generator.random() < 16 / layers:
            width = max(width // 2, 1 << 12) if generator.random() < 0.6 else width * 2
        activation = width * generator.choice((1, 1, 1, 2, 4))
        weights = generator.choice((9, 64, 256, 576)) * generator.randint(1, 64) * 64
        forward, backward = 3 * layer, 2 * turn - 3 * layer
        skip = 3 * generator.choice((0, 0, 0, 2, 4))
        add(forward, backward - 1 + generator.randrange(3), activation)
        add(forward + 1, forward + 3 + skip, activation // generator.choice((1, 2, 4)))
        add(forward, forward + 1, generator.randint(1, 2 * activation))
        add(backward - 3, backward + 1 + skip, activation)
        add(backward - 2, backward - 1, generator.randint(1, 2 * activation))
        add(backward - 2, 2 * turn + layer + 1, weights)
        add(0, end, weights)
    return buffers


def puzzle(count: int, seed: int, steps: int = 200, memory: int = 1 << 20) -> list[Buffer]:
    """Return buffers cut from one full rectangle: every step needs all of the memory.

    Cuts in time are straight within a piece only, so that the pieces interlock.
    """
    generator = random.Random(seed)  # noqa: S311
    pieces = [(0, steps, 0, memory)]
    while len(pieces) < count:
        weights = [(u - lo) * (t - b) for lo, u, b, t in pieces]
        index = generator.choices(range(len(pieces)), weights)[0]
        lower, upper, bottom, top = pieces[index]
        if generator.random() < 0.5 and upper - lower > 1:
            cut = generator.randint(lower + 1, upper - 1)
            pieces[index] = (lower, cut, bottom, top)
            pieces.append((cut, upper, bottom, top))
        elif (top - bottom) // 1024 > 1:
            cut = bottom + 1024 * generator.randint(1, (top - bottom) // 1024 - 1)
            pieces[index] = (lower, upper, bottom, cut)
            pieces.append((lower, upper, cut, top))
    generator.shuffle(pieces)
    return [
        Buffer(str(index), lower, upper, top - bottom)
        for index, (lower, upper, bottom, top) in enumerate(pieces)
    ]
