"""What a forked child has to give up, and that it is told once."""

import os

import pytest

from wsgix.server import children


@pytest.fixture
def registered(monkeypatch):
    """What is to run in each child, in a process in which nothing was yet."""
    given = []
    monkeypatch.setattr(os, "register_at_fork", lambda **named: given.append(named["after_in_child"]))
    monkeypatch.setattr(children, "_is_told_of_children", [])
    monkeypatch.setattr(children, "_leavers", [])
    return given


def test_the_system_is_told_of_children_once_however_many_servers_there_were(registered):
    left = []
    for _ in range(3):
        children.leave_in_children(left.append)
        children.forget(left.append)
    assert len(registered) == 1


def test_a_child_gives_up_all_that_nobody_has_forgotten_and_only_once(registered):
    left = []

    def fail():
        left.append("failed")
        raise OSError

    def forgotten():
        left.append("forgotten")

    children.leave_in_children(lambda: left.append("left"))
    children.leave_in_children(fail)
    children.leave_in_children(forgotten)
    children.forget(forgotten)
    (in_child,) = registered
    in_child()
    assert left == ["failed", "left"]
    in_child()
    children.forget(fail)  # in the child it was called already
    assert left == ["failed", "left"]
