"""Our schedulers of xdist against a model of its session and workers, in any order of events.

Real workers are in tests/plugin; here thousands of interleavings are drawn that they seldom meet.
"""

import random
from collections import Counter, deque
from contextlib import suppress
from types import SimpleNamespace

import pytest

from pytest_hypersearch.plugin.xdist.assignment import TrialClaims
from pytest_hypersearch.plugin.xdist.schedulers import SHARING, patched_scheduler

SHUTDOWN = object()
MOST_STEPS = 50_000


class Node:
    """A worker and its controller's side: it knows the next test before it runs one."""

    def __init__(self, number, session):
        self.gateway = SimpleNamespace(id=f"gw{number}")
        self.shutting_down = self.dead = self.was_given_tests = False
        self.commands, self.queue = deque(), deque()
        self.current, self.claimed = None, set()
        self.session = session
        self.work = self.life()

    def send_runtest_some(self, indices):
        self.was_given_tests = True
        self.send(lambda: self.queue.extend(indices))

    def send_steal(self, indices):
        self.send(lambda: self.steal(set(indices)))

    def shutdown(self):
        if not self.dead:
            self.send(lambda: self.queue.append(SHUTDOWN))
        self.shutting_down = True

    def send(self, command):
        if self.dead:
            raise OSError("cannot send (already closed?)")
        self.commands.append(command)

    def steal(self, wanted):
        stolen = [index for index in self.queue if index in wanted]
        if len(stolen) != len(wanted):
            stolen = []
        self.queue = deque(index for index in self.queue if index not in stolen)
        self.tell("unscheduled", stolen)

    def tell(self, event, *values):
        self.session.events.append((event, self, *values))

    def step(self):
        """Take a command, or go on with the work."""
        if self.commands and self.session.luck.random() < 0.5:
            self.commands.popleft()()
        else:
            next(self.work)

    def life(self):
        """What a worker does, with a pause wherever others may come in between."""
        for event in ("ready", "collected"):
            yield from range(self.session.luck.choice([1, 10, 100, 1000]))
            self.tell(event)
        current = yield from self.taken()
        while current is not SHUTDOWN:
            following = yield from self.taken()
            yield from self.run(current, following)
            self.tell("complete", current)
            self.current = None
            current = following
        self.tell("finished")
        self.session.living.remove(self)
        yield

    def taken(self):
        while not self.queue:
            yield
        return self.queue.popleft()

    def run(self, index, following):
        session, item = self.session, self.session.items[index]
        yield
        if item in self.claimed or self.claims(item):
            self.claimed.discard(item)
            self.current = item
            self.tell("begins", item)
            session.started[item] += 1
            yield from range(session.lengths[item])
            session.ended[item] += 1
            if following is not SHUTDOWN and session.luck.random() < 0.5:
                self.claim_ahead([following, *self.queue])
        yield

    def claim_ahead(self, indices):
        """Claim the next trial, and under ``load`` the stored ones among those after it."""
        for index in indices if self.session.dist == "load" else indices[:1]:
            item = self.session.items[index] if index is not SHUTDOWN else None
            if index != indices[0] and item not in self.session.independent:
                return
            if not self.claims(item):
                return
            self.claimed.add(item)

    def claims(self, item):
        session = self.session
        if session.shares and item in session.trials:
            return session.claims.claim(item, self.gateway.id)
        return True


class Session:
    """xdist's session, as far as schedulers see it."""

    def __init__(self, dist, seed):
        self.luck = luck = random.Random(seed)
        workers, self.deaths = luck.randint(1, 5), luck.choice([0, 2, 6])
        self.unfit = luck.choice([0, 0, 3])
        self.danger = luck.choice([0.003, 0.03, 0.3])
        self.dist, self.shares = dist, dist in SHARING
        self.items = [f"{luck.randint(1, 6)}::{number}" for number in range(luck.randint(1, 20))]
        self.trials = {item for item in self.items if luck.random() < 0.8}
        self.independent = {item for item in self.trials if luck.random() < 0.8}
        self.lengths = {item: luck.choice([0, 1, 5, 50]) for item in self.items}
        self.retries = luck.randint(0, 2)
        options = {"tx": ["popen"] * workers, "maxschedchunk": luck.choice([None, None, 3])}
        option = SimpleNamespace(dist=dist, loadscopereorder=luck.random() < 0.5)
        config = SimpleNamespace(option=option, getvalue=options.get, getoption=options.get)
        log = SimpleNamespace(loadsched=_ignore, workstealsched=_ignore, loadscopesched=_ignore)
        self.claims = TrialClaims(
            self.trials.__contains__, self.has_ended, _ignore, self.independent.__contains__
        )
        self.scheduler = patched_scheduler(config, log, self.claims)
        self.scheduler.numnodes = luck.randint(1, workers)  # the others join late
        self.events, self.living, self.up = deque(), [], 0
        self.started, self.ended, self.crashes = Counter(), Counter(), Counter()
        self.attempts = Counter()
        self.shuts_down, self.given_up = False, set()
        self.made = 0
        for _ in range(workers):
            self.start()

    def has_ended(self, item):
        return item in self.trials and bool(self.ended[item] or self.attempts[item] > self.retries)

    def start(self):
        self.living.append(Node(self.made, self))
        self.made += 1
        self.up += 1

    def play(self):
        """Let chance say who comes next until all is over."""
        for _ in range(MOST_STEPS):
            if self.shuts_down and not self.up:
                return
            if self.events and (not self.living or self.luck.random() < 0.4):
                event, node, *values = self.events.popleft()
                getattr(self, event)(node, *values)
                assert self.shares or not list(filter(self.waits_in_vain, self.scheduler.nodes))
                if self.scheduler.tests_finished and not self.shuts_down:
                    self.shuts_down = True
                    for each in self.scheduler.nodes:
                        each.shutdown()
            elif self.deaths and self.living and self.luck.random() < self.danger:
                self.kill(self.luck.choice(self.living))
            else:
                self.luck.choice(self.living).step()
        pytest.fail("the session hangs")

    def waits_in_vain(self, node):
        """Whether a worker needs more work than is left, and was not told that there is no more."""
        scheduler = self.scheduler
        if node.shutting_down or scheduler.workqueue or not scheduler.collection:
            return False
        ended = [done for unit in scheduler.assigned_work[node].values() for done in unit.values()]
        return node in scheduler.registered_collections and ended.count(False) < 2

    def kill(self, node):
        self.deaths -= 1
        node.dead = True
        self.living.remove(node)
        node.tell("died")

    def ready(self, node):
        if self.shuts_down:
            node.shutdown()
        else:
            self.scheduler.add_node(node)

    def collected(self, node):
        assert not node.was_given_tests  # it would run them even if it was sent home now
        if self.shuts_down:
            return
        if self.unfit and node in self.scheduler.nodes and self.luck.random() < 0.3:
            self.send_home(node)
        self.scheduler.add_node_collection(node, self.items)
        if self.scheduler.collection_is_completed:
            self.scheduler.schedule()

    def send_home(self, node):
        """What `RemoteWorkers` does with a worker whose machine has too little."""
        self.unfit -= 1
        assert self.scheduler.remove_node(node) is None
        node.shutdown()
        self.start()

    def begins(self, _node, item):
        self.claims.begin(item)

    def complete(self, node, index):
        self.scheduler.mark_test_complete(node, index, self.luck.choice([0, 0.01, 0.001, 1]))

    def unscheduled(self, node, indices):
        self.scheduler.remove_pending_tests_from_node(node, indices)

    def finished(self, node):
        node.shutting_down = True
        if node in self.scheduler.nodes:
            assert self.scheduler.remove_node(node) is None
        self.up -= 1

    def died(self, node):
        node.shutting_down = True
        self.attempts[node.current] += 1
        if node in self.scheduler.nodes:
            crashed = self.scheduler.remove_node(node)
            if crashed is not None:
                self.crashed(crashed)
        self.shuts_down = False
        self.start()
        self.up -= 1

    def crashed(self, item):
        self.crashes[item] += 1
        if item in self.trials and not self.ended[item] and self.crashes[item] <= self.retries:
            with suppress(NotImplementedError):  # whole scopes are run again anyway
                self.scheduler.mark_test_pending(item)
        else:
            self.given_up.add(item)


def _ignore(*_values):
    """Write no log."""


@pytest.mark.parametrize("dist", [*SHARING, "loadscope"])
@pytest.mark.parametrize("hundred", range(9))
def test_every_test_runs_once_whoever_dies_when(dist, hundred):
    for seed in range(100 * hundred, 100 * (hundred + 1)):
        session = Session(dist, seed)
        session.play()
        for item in session.items:
            trial, crashes = item in session.trials, session.crashes[item]
            times = session.started[item], session.ended[item], crashes
            assert session.ended[item] or item in session.given_up, (seed, item, times)
            assert session.started[item] <= 1 + crashes, (seed, item, times)
            # Whole scopes are handed on with what is no trial and ended untold.
            again = 0 if trial or session.shares else crashes
            assert session.ended[item] <= 1 + again, (seed, item, times)
            # Only what is no trial counts as run by a shared worker that died before it.
            assert not (trial and session.shares) or crashes <= session.started[item]


@pytest.mark.parametrize("dist", [*SHARING, "loadscope"])
def test_a_worker_that_was_sent_home_before_it_collected_is_left_out(dist):
    session = Session(dist, 0)
    session.scheduler.add_node_collection(Node(99, session), session.items)
    assert not session.scheduler.nodes
