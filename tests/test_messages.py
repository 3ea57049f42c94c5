"""Messages between runners and the owner: what is written is read, and nothing else is."""

import json
import subprocess
import sys
from dataclasses import fields
from typing import get_args

import pytest
from docs_parts import ROOT

from pytest_hypersearch.core.space import Space, choice
from pytest_hypersearch.core.study import StudyCode, StudyResults, Suggestion
from pytest_hypersearch.core.sweep import Share, Sweep
from pytest_hypersearch.core.trial import Key, Outcome, State, TrialRecord
from pytest_hypersearch.engine import messages
from pytest_hypersearch.engine.messages import decode_message, decode_reply, encode

ITEM = "test_it.py::test_f[bayes-007-r1]"
NUMBERS = {"score": 0.5, "loss": float("-inf")}
TRIAL = TrialRecord(ITEM, "s", 7, 1, {"op": "Ask", "": None}, State.PRUNED, metrics=NUMBERS)
SWEEP = Sweep(name="s", strategy="bayes", space=Space(({"x": choice([1, 2])},)), n_trials=3)
SERIES = {"score": {"steps": [0, 1], "values": "AAAAAAAA8D8="}}
CODE = StudyCode(["/p"], "/p/test_it.py", "test_f", ["/p/conftest.py"], [])
SUGGESTION = Suggestion("s", 7, {"x": 1}, seen=3, pending=True)
STUDY = messages.StudyPlan("test_it.py::test_f", [{"name": "s"}], {}, ((ITEM, 0, 7, 1),), CODE)
AHEAD = messages.Ahead(ITEM, messages.RunTrial({"x": 1}, 3, 1, "/p", Share(2)))

MESSAGES = [
    messages.Hello("d"),
    messages.Plan("d", (STUDY,)),
    messages.Requirements(),
    messages.OtherVersions({"numpy": "2.3", "torch": ""}),
    messages.Durations(),
    messages.Claim(ITEM, hands_out=True, then=(ITEM,)),
    messages.Deliver("/p/a", "QQ==", more=True),
    messages.Fetch("/p/a", 3),
    messages.Ask(ITEM),
    messages.Report(ITEM, 1, SERIES),
    messages.Review(ITEM, 1, SERIES),
    messages.Tell(ITEM, 1, Outcome(State.COMPLETE, 0.5, NUMBERS, logged={"note": "ü"})),
    messages.ItemFailed(ITEM, 1, "in teardown: OSError", "Traceback", keeps_score=True),
    messages.Crash(ITEM, "SIGKILL", 0.5),
    messages.Skip(ITEM, "skipped"),
    messages.Finish(saved=True),
    messages.View("test_it.py::test_look", "test_f", wait=True),
    messages.Packages({"numpy": "2.4"}, "node2"),
]
REPLIES = [
    messages.Refused("no space", ends_session=True),
    messages.Done(),
    messages.Known(known=True),
    messages.PackageVersions({"numpy": "2.4"}),
    messages.TrialDurations({ITEM: 0.5}),
    messages.Elsewhere(),
    messages.Part("QQ==", more=False),
    messages.RunTrial({"x": 1}, 3, 1, "/p/a", Share(2, ("GPU-0",))),
    messages.RunTrial({"x": 1}, 3, 1, "/p/a"),
    messages.ReplayTrial(
        TRIAL, (AHEAD, messages.Ahead(ITEM, messages.SkipTrial(State.NOT_RUN, "late")))
    ),
    messages.SkipTrial(State.RACED_OUT, "worse"),
    messages.PruneVerdict("median"),
    messages.Told(best=True),
    messages.Told(best=False, ahead=(messages.Ahead(ITEM, messages.ReplayTrial(TRIAL)),)),
    messages.Told(best=False, ahead=(AHEAD,)),
    messages.CrashVerdict(again=True),
    messages.StudyState(
        StudyResults("test_it.py::test_f", (SWEEP,), (TRIAL,)),
        (SUGGESTION,),
        ((Key("s", 7, 1), "/p/best/replicate-1"),),
    ),
    messages.NoSuchStudy([], ["test_it.py::test_f"]),
    messages.Unfinished("test_it.py::test_f", 3),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: type(each).__name__)
def test_what_is_written_of_a_message_is_read(message):
    assert decode_message(encode(7, message)) == (7, message)


@pytest.mark.parametrize("reply", REPLIES, ids=lambda each: type(each).__name__)
def test_what_is_written_of_a_reply_is_read(reply):
    assert decode_reply(encode(7, reply)) == (7, reply)


def test_every_type_is_written_and_read_here():
    assert {type(each) for each in MESSAGES} == {*get_args(messages.Message)}
    assert {type(each) for each in REPLIES} == {*get_args(messages.Reply)}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('[1, "Aks", {}]', "message 'Aks': expected one of Hello, Plan, "),
        ('[1, "Done", {}]', "message 'Done': expected one of Hello, Plan, "),
        ('[1, "Ask", {}]', "message Ask: fields none; expected item"),
        ('[1, "Ask", {"slot": "x"}]', "message Ask: fields slot; expected item"),
        ('[1, "Hello", {"digest": "d", "k": 1}]', "message Hello: fields digest, k; expected dig"),
    ],
)
def test_what_is_no_message_is_refused_in_one_line(text, error):
    with pytest.raises(ValueError, match=error) as caught:
        decode_message(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", [*MESSAGES, *REPLIES], ids=lambda each: type(each).__name__)
def test_a_field_that_is_missing_or_not_known_is_refused(body):
    decode = decode_reply if body in REPLIES else decode_message
    number, name, values = json.loads(encode(7, body))
    less = [{name: values[name] for name in values if name != one.name} for one in fields(body)]
    for wrong in ({**values, "extra": 1}, *less):
        with pytest.raises(ValueError, match=f"message {name}: fields "):
            decode(json.dumps([number, name, wrong]))


def test_what_json_does_not_know_is_refused_by_name():
    with pytest.raises(TypeError, match=r"set\(\) \(set\) has no form in JSON"):
        encode(7, messages.Packages({"numpy": set()}))


WRONG = """
from pytest_hypersearch.core.trial import State
from pytest_hypersearch.engine import messages
from pytest_hypersearch.engine.link import Link
from pytest_hypersearch.engine.owner import Owner
from pytest_hypersearch.core.trial import Outcome


def right(link: Link) -> int:
    reply = link.call(messages.Ask("item"))
    return reply.attempt if isinstance(reply, messages.RunTrial) else 0


def wrong(link: Link, owner: Owner) -> None:
    messages.Ask(slot="item")  # E: Unexpected keyword argument "slot"
    messages.Tell("item", 1, {"state": "complete"})  # E: expected "Outcome"
    messages.Tell("item", "1", Outcome(State.COMPLETE))  # E: expected "int"
    link.call(messages.Finish(saved=True)).again  # E: has no attribute "again"
    link.call(messages.Hello("d")).known  # E: has no attribute "known"
    link.call(messages.Packages({}))  # E: type "Packages"
    link.send(messages.Ask("item"))  # E: type "Ask"
    owner.handle("gw0", messages.Report("item", 1, {}), print)  # E: type "Report"
"""


@pytest.mark.slow
def test_a_wrong_field_fails_a_type_check(tmp_path):
    pytest.importorskip("mypy")
    snippet = tmp_path / "snippet.py"
    snippet.write_text(WRONG)
    check = (sys.executable, "-m", "mypy", "--no-error-summary", str(snippet))
    checked = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    errors = [line for line in checked.stdout.splitlines() if ": error: " in line]
    expected = {
        number: line.partition("# E: ")[2]
        for number, line in enumerate(WRONG.splitlines(), 1)
        if "# E: " in line
    }
    said = {int(line.split(":")[1]): line for line in errors}
    assert said.keys() == expected.keys(), checked.stdout + checked.stderr
    assert all(text in said[number] for number, text in expected.items()), checked.stdout
