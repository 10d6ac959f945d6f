"""A few hundred damaged models; `make fuzz` examines many more."""

import os
import signal

import pytest

from fuzz import mutate

FILES = 300


@pytest.mark.timeout(600)
def test_every_damaged_model_is_compiled_or_refused() -> None:
    models = mutate.sources()
    assert list(mutate.findings(range(FILES), models)) == []


def test_the_same_seed_gives_the_same_file() -> None:
    models = mutate.sources()
    assert [mutate.damaged(s, models) for s in range(40)] == [
        mutate.damaged(s, mutate.sources()) for s in range(40)
    ]


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGABRT), "signal 6"),
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: os._exit(3), "the process ended"),
    ],
    ids=["abort", "exception", "exit"],
)
def test_faults_of_the_compiler_are_found(
    monkeypatch: pytest.MonkeyPatch, fault: object, word: str
) -> None:
    """Each of the ways in which a file can end badly, at the second of three files."""

    def plan(path: object, **_options: object) -> None:
        count.append(path)
        if len(count) == 2:
            fault()  # type: ignore[operator]  # a function without arguments

    count: list[object] = []
    monkeypatch.setattr(mutate, "plan_request", plan)
    found = list(mutate.findings([1, 2, 3], mutate.sources()[:3]))
    assert [finding.seed for finding in found][:1] == [2]
    assert word in found[0].what
