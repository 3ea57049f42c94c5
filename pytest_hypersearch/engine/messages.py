"""Messages between the runners of trials and the owner of their studies.

A runner sends a `Request` and waits for its reply, whose type is the request's parameter, or a
`Notice`, which has none. Any request may be answered by `Refused` instead. A reply may come later
than the next message of another runner: a trial whose configuration depends on results waits until
they are in, one that demands resources until they are free.

In all of them ``item`` is the node id of a trial's item and ``attempt`` tells which execution of
the trial, from 1. In one process the objects themselves are handed over; between processes each
travels as a line of JSON, see `encode`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, Final, Generic, TypeAlias, TypeVar, get_args

from pytest_hypersearch.core.codec import fields_of, json_object, read_fields
from pytest_hypersearch.core.frozen import frozen
from pytest_hypersearch.core.study import StudyCode, StudyResults, Suggestion
from pytest_hypersearch.core.sweep import Share
from pytest_hypersearch.core.trial import Config, Key, Outcome, State, TrialRecord
from pytest_hypersearch.store.curves import Packed


@frozen
class Refused:
    """The owner cannot do what it was asked.

    Attributes:
        reason: Why.
        ends_session: Whether no more trials can be run, as on a full disk; else the fault concerns
            this request alone.
    """

    reason: str
    ends_session: bool = False


@frozen
class Done:
    """The owner has taken note."""


@frozen
class Known:
    """Whether the owner has the runner's plan already."""

    known: bool


@frozen
class PackageVersions:
    """Versions of the packages that tests import, by their import names, as the owner has them."""

    versions: dict[str, str]


@frozen
class TrialDurations:
    """Seconds that trials took earlier in the run, by the node ids of their items."""

    seconds: dict[str, float]


@frozen
class Elsewhere:
    """Another worker has come to the trial, or the session ends."""


@frozen
class RunTrial:
    """Run the trial.

    Attributes:
        params: The configuration, as JSON scalars.
        seed: The trial's seed.
        path: The trial's artifact directory, which may not exist yet.
        share: The trial's share of the machine, None if it demands none.
    """

    params: Config
    seed: int
    attempt: int
    path: str
    share: Share | None = None


@frozen
class ReplayTrial:
    """Show the stored trial instead of running it.

    Attributes:
        record: The trial.
        ahead: The trials that were claimed with it.
    """

    record: TrialRecord
    ahead: tuple[Ahead, ...] = ()


@frozen
class SkipTrial:
    """Skip the trial's item."""

    state: State
    reason: str


@frozen
class PruneVerdict:
    """Why the pruner ends the trial, empty if the trial goes on."""

    reason: str


@frozen
class Ahead:
    """What is to be done with the trial of the item that a worker comes to next."""

    item: str
    assignment: Assignment

    def to_json(self) -> dict[str, Any]:
        """As a JSON object that tells the type of the assignment."""
        kind = type(self.assignment).__name__
        return {"item": self.item, "kind": kind, "fields": fields_of(self.assignment)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Ahead:
        """Read what `to_json` returned."""
        kind: type[Any] = _REPLIES[data["kind"]]
        return cls(data["item"], read_fields(kind, data["fields"]))


@frozen
class Told:
    """The outcome is recorded.

    Attributes:
        best: Whether the trial's configuration leads the study now.
        ahead: The trials that were claimed with it.
    """

    best: bool
    ahead: tuple[Ahead, ...] = ()


@frozen
class CrashVerdict:
    """Whether a trial whose process died is to be run again."""

    again: bool


@frozen
class StudyState:
    """A study as it stands.

    Attributes:
        results: Its sweeps and trials.
        suggestions: The configurations that adaptive samplers proposed.
        paths: The artifact directories that are kept, by trial; of two the later one counts.
        origin: Where results come from that are not of this session, empty if they are.
    """

    results: StudyResults
    suggestions: tuple[Suggestion, ...]
    paths: tuple[tuple[Key, str], ...]
    origin: str = ""


@frozen
class NoSuchStudy:
    """A name does not identify one study: the node ids of those that it matches, and of all."""

    matches: list[str]
    studies: list[str]


@frozen
class Unfinished:
    """Trials of the study are still to come, and the test that asks runs before them.

    Attributes:
        study: The study's node id.
        trials: How many of its trials have not ended, that of the item that asks left out.
    """

    study: str
    trials: int


@frozen
class Part:
    """A part of an archive.

    Attributes:
        data: In base 64, empty if there is no such directory.
        more: Whether others follow.
    """

    data: str
    more: bool


Assignment: TypeAlias = RunTrial | ReplayTrial | SkipTrial
Answer: TypeAlias = (
    Done
    | Known
    | PackageVersions
    | TrialDurations
    | Elsewhere
    | Part
    | Assignment
    | PruneVerdict
    | Told
    | CrashVerdict
    | StudyState
    | NoSuchStudy
    | Unfinished
)
AnswerT = TypeVar("AnswerT", bound=Answer)
Reply: TypeAlias = Answer | Refused


class Request(Generic[AnswerT]):
    """A message whose reply is an ``AnswerT`` or `Refused`."""

    __slots__ = ()


class Notice:
    """A message without a reply."""

    __slots__ = ()


@frozen
class Hello(Request[Known]):
    """A runner has collected the plan with this digest."""

    digest: str


@frozen
class StudyPlan:
    """The trials of one study that a session is going to run.

    Attributes:
        nodeid: The test without the trials' part.
        sweeps: All sweeps of the test, also those without a trial in this session, as JSON values.
        pruners: The pickled pruner of each sweep that has one, by the sweep's name.
        slots: For each trial its item's node id, the index of its sweep, its configuration's number
            and its replicate.
        code: Where the test's code is.
        arguments: The test's other parameters; see `StudyResults`.
    """

    nodeid: str
    sweeps: list[dict[str, Any]]
    pruners: dict[str, str]
    slots: tuple[tuple[str, int, int, int], ...]
    code: StudyCode
    arguments: Config = field(default_factory=dict)


@frozen
class Plan(Request[Done]):
    """All studies of a session; the digest is equal for runners that collected the same trials."""

    digest: str
    studies: tuple[StudyPlan, ...]


@frozen
class Requirements(Request[PackageVersions]):
    """Which packages decide whether trials of the plan are stale?"""


@frozen
class OtherVersions(Request[Done]):
    """The runner has other versions of such packages; an empty one if a package is missing."""

    versions: dict[str, str]


@frozen
class Durations(Request[TrialDurations]):
    """How long did trials take before?"""


@frozen
class Claim(Request[Assignment | Elsewhere | Done]):
    """A worker comes to an item. What is to be done with its trial?

    A worker holds trials that other workers hold as well: the first that comes to one runs it. The
    item before it is torn down. The trial begins when pytest says so of its item.

    Attributes:
        hands_out: Whether the trial is to be handed out; else it is asked for later, if the item
            gets so far, and the reply is `Done`.
        then: The items that the worker comes to next, if their trials are claimed with this one,
            too, should this one be replayed: the first, and further ones as far as all before them
            are replayed as well.
    """

    item: str
    hands_out: bool
    then: tuple[str, ...] = ()


@frozen
class Deliver(Request[Done]):
    """Take a part of what a trial saved on another machine; for who distributes the items.

    Attributes:
        path: The trial's directory in the run.
        data: The part of an archive of it, in base 64.
        more: Whether others follow; after the last one the directory is there.
    """

    path: str
    data: str
    more: bool


@frozen
class Fetch(Request[Part]):
    """Hand out a part of an archive of a directory of the run; for who distributes the items.

    Attributes:
        path: The directory.
        start: Where in the archive the part begins.
    """

    path: str
    start: int


@frozen
class Ask(Request[Assignment]):
    """What is to be done with the trial of an item?"""

    item: str


@frozen
class Report(Notice):
    """A trial reported intermediate values.

    Attributes:
        series: The packed series of each metric since the last report or review.
    """

    item: str
    attempt: int
    series: dict[str, Packed]


@frozen
class Review(Request[PruneVerdict]):
    """Should the trial be pruned, given these intermediate values, as in `Report`?"""

    item: str
    attempt: int
    series: dict[str, Packed]


@frozen
class Tell(Request[Told]):
    """A trial has ended with this outcome.

    Attributes:
        then: The items that the worker comes to next; see `Claim`.
    """

    item: str
    attempt: int
    outcome: Outcome
    then: tuple[str, ...] = ()


@frozen
class ItemFailed(Request[Done]):
    """The item of a trial has failed after the trial's outcome was told.

    Attributes:
        reason: One line on the failure.
        error: The failure's traceback.
        keeps_score: Whether the trial itself is what it was, as after an error in the teardown.
    """

    item: str
    attempt: int
    reason: str
    error: str
    keeps_score: bool


@frozen
class Crash(Request[CrashVerdict]):
    """The process of an isolated trial died.

    Attributes:
        reason: How it died.
        seconds: How long the trial had run.
    """

    item: str
    reason: str
    seconds: float


@frozen
class Skip(Request[Done]):
    """An item ended before its trial was asked for."""

    item: str
    reason: str


@frozen
class Finish(Request[Done]):
    """The worker's item is torn down; a worker that asks for its next trial says so as well.

    Attributes:
        saved: Whether the trial has left complete artifacts.
    """

    saved: bool


@frozen
class View(Request[StudyState | NoSuchStudy | Unfinished]):
    """How does a study stand?

    Attributes:
        item: The node id of the test that asks.
        study: The study's node id, or as much of its end as makes it unique.
        wait: Whether to wait until the study is done.
    """

    item: str
    study: str
    wait: bool


@frozen
class Packages(Notice):
    """Versions of the packages that a runner has imported, by their import names.

    Attributes:
        node: The runner's node, empty if it is the owner's machine.
    """

    versions: dict[str, str]
    node: str = ""


AnyRequest: TypeAlias = (
    Hello
    | Plan
    | Requirements
    | OtherVersions
    | Durations
    | Claim
    | Ask
    | Review
    | Tell
    | ItemFailed
    | Crash
    | Skip
    | Finish
    | View
)
AnyNotice: TypeAlias = Report | Packages
Transfer: TypeAlias = Deliver | Fetch
"""Requests to whoever connects workers, who answers them without the owner."""
Message: TypeAlias = AnyRequest | AnyNotice | Transfer


def encode(number: int, body: Message | Reply) -> str:
    """Write a message or a reply as JSON: its number, the name of its type, and its fields.

    Args:
        number: Tells to which message a reply belongs.
        body: The message or the reply.
    """
    return _ENCODER.encode((number, type(body).__name__, fields_of(body)))


def decode_message(text: str) -> tuple[int, Message]:
    """Read a message that `encode` wrote.

    Returns:
        Its number and the message.

    Raises:
        ValueError: It is no message, or its fields are not those of its type.
    """
    return _decode(text, _MESSAGES)


def decode_reply(text: str) -> tuple[int, Reply]:
    """Read a reply that `encode` wrote; returns and raises as `decode_message` does."""
    return _decode(text, _REPLIES)


_ENCODER: Final = json.JSONEncoder(default=json_object)
_BodyT = TypeVar("_BodyT")


def _decode(text: str, kinds: Mapping[str, type[_BodyT]]) -> tuple[int, _BodyT]:
    number, name, values = json.loads(text)
    kind = kinds.get(name)
    if kind is None:
        raise ValueError(f"message {name!r}: expected one of {', '.join(kinds)}")
    if values.keys() != _NAMES[name]:
        given, expected = (", ".join(names) or "none" for names in (values, _NAMES[name]))
        raise ValueError(f"message {name}: fields {given}; expected {expected}")
    return number, read_fields(kind, values)


_MESSAGES: Final[Mapping[str, type[Message]]] = {k.__name__: k for k in get_args(Message)}
_REPLIES: Final[Mapping[str, type[Reply]]] = {k.__name__: k for k in get_args(Reply)}
_NAMES: Final = {
    name: {field.name: None for field in fields(kind)}.keys()
    for name, kind in {**_MESSAGES, **_REPLIES}.items()
}
