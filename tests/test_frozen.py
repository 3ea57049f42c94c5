"""Frozen dataclasses of `core.frozen` are as those of `dataclasses`, but for what they cost."""

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from pytest_hypersearch.core.frozen import constructor, frozen


def declared(decorate):
    @decorate
    class Own:
        __qualname__ = "Own"  # under which pickle looks for it

        name: str
        size: int = 1
        tags: list[str] = field(default_factory=list, repr=False)

        def __post_init__(self):
            if self.size < 0:
                raise ValueError("size")

    return Own


Model = declared(dataclass(frozen=True, slots=True))
Own = declared(frozen)


@frozen
class Empty:
    pass


class Heir(Own):
    def __init__(self, name):
        super().__init__(name, size=2)


MAKERS = {"class": Own, "constructor": constructor(Own), "heir": lambda name, **_: Heir(name)}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_nothing_can_be_assigned_or_deleted(make):
    own = make("a", size=2)
    for change in (lambda: setattr(own, "size", 3), lambda: delattr(own, "name")):
        with pytest.raises(FrozenInstanceError):
            change()
    assert (own.name, own.size, own.tags) == ("a", 2, [])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_copies_are_equal_and_frozen(protocol):
    own = Own("a", 2, ["b"])
    pickled = pickle.loads(pickle.dumps(own, protocol))  # noqa: S301  of this test
    copies = [pickled, copy.copy(own), copy.deepcopy(own)]
    for each in [*copies, replace(own), constructor(Own)("a", 2, ["b"])]:
        assert type(each) is Own
        assert each == own
        with pytest.raises(FrozenInstanceError):
            each.size = 1
    assert replace(own, size=5) == Own("a", 5, ["b"])


def test_they_are_compared_hashed_and_shown_as_those_of_dataclasses():
    own, model = Own("a", tags=["b"]), Model("a", tags=["b"])
    assert repr(own) == repr(model) == "Own(name='a', size=1)"
    assert [each.name for each in fields(own)] == [each.name for each in fields(model)]
    assert own != Own("a")
    assert own != model
    assert own != Heir("a")
    assert Empty() == Empty()
    assert hash(Empty()) == hash(Empty())
    with pytest.raises(TypeError, match="unhashable"):
        hash(own)
    match own:
        case Own(name, size):
            assert (name, size) == ("a", 1)


@pytest.mark.parametrize("make", [Own, constructor(Own)])
def test_arguments_are_checked(make):
    with pytest.raises(ValueError, match="size"):
        make("a", -1)
    with pytest.raises(TypeError, match="name"):
        make()
