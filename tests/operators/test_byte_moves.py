"""Moves of stretches of memory, carried out on real bytes."""

import random
from itertools import permutations

from condense_compiler.operators.byte_moves import Move, order_of_moves

SIZE = 24


def carried_out(moves: list[Move], order: list[int] | tuple[int, ...]) -> bool:
    """Tell whether every move finds what it is to move, in this order."""
    memory = list(range(SIZE))
    for index in order:
        move = moves[index]
        memory[move.target : move.target + move.size] = memory[
            move.source : move.source + move.size
        ]
    return all(
        memory[m.target : m.target + m.size] == list(range(m.source, m.source + m.size))
        for m in moves
    )


def random_moves(rng: random.Random) -> list[Move]:
    """Return moves to targets one behind the other."""
    target, moves = rng.randint(0, 8), []
    for _ in range(rng.randint(1, 4)):
        size = rng.randint(1, 4)
        moves.append(Move(rng.choice([target, rng.randint(0, SIZE - size)]), target, size))
        target += size
    return moves


def test_an_order_is_found_if_there_is_one() -> None:
    rng = random.Random(3)  # noqa: S311 - cases, not secrets
    tangled = 0
    for _ in range(2000):
        moves = random_moves(rng)
        order = order_of_moves(moves)
        if order is None:
            tangled += 1
            # Orders that work by chance, because equal bytes lie there, do not occur.
            assert not any(carried_out(moves, o) for o in permutations(range(len(moves))))
        else:
            assert sorted(order) == list(range(len(moves)))
            assert carried_out(moves, order)
    assert tangled > 30
