"""Tests whose part of the machine is missing say so; where CI is set, they fail."""

from collections.abc import Iterator

import pytest
from kit.needs import check_needs, needs


class Item:
    """A test with some marks."""

    def __init__(self, *marks: pytest.MarkDecorator) -> None:
        self.marks = marks

    def iter_markers(self, name: str) -> Iterator[pytest.Mark]:
        """Yield the marks of a name."""
        return (each.mark for each in self.marks if each.mark.name == name)


HERE, MISSING = needs("something", present=True), needs("a browser", present=False)


@pytest.mark.parametrize("ci", ["", "true"])
def test_what_is_there_runs(monkeypatch: pytest.MonkeyPatch, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    check_needs(Item(HERE))


def test_what_is_missing_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs a browser"):
        check_needs(Item(HERE, MISSING))


def test_what_is_missing_fails_where_ci_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="needs a browser; install it"):
        check_needs(Item(HERE, MISSING))
