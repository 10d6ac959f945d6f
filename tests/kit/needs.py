"""Parts of the machine that some tests need."""

import os

import pytest

NEEDS = "needs"


def needs(what: str, *, present: bool) -> pytest.MarkDecorator:
    """Mark tests that need a part of the machine.

    Where it is missing they are skipped; they fail if the environment sets `CI`, because a machine
    that is there to test must have it.
    """
    return pytest.mark.needs(what, present=present)


def check_needs(item: pytest.Item) -> None:
    """Skip or fail a test before it runs if something that it needs is missing."""
    for mark in item.iter_markers(NEEDS):
        if mark.kwargs["present"]:
            continue
        [what] = mark.args
        if os.environ.get("CI"):
            pytest.fail(f"needs {what}; install it: CI is set", pytrace=False)
        pytest.skip(f"needs {what}")
