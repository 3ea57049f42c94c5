"""Studies without pytest: a sampler that notes what it is told, and outcomes of trials."""

from pytest_hypersearch.core.trial import Outcome, State
from pytest_hypersearch.plugin.mark.arguments import from_mark


class Noting:
    """Proposes its number, as many as there are; remembers the histories."""

    def __init__(self, *, adaptive=True, limit=99):
        self.adaptive = adaptive
        self.limit = limit
        self.histories = {}
        self.reports = {}

    def suggest(self, space, *, seed, index, history):
        assert index not in self.histories or not self.adaptive
        self.histories[index] = [(seen.index, str(seen.state), seen.scores) for seen in history]
        self.reports[index] = {seen.index: seen.reports for seen in history if seen.reports}
        return {"x": index + 100 * seed} if index < self.limit else None


def sweep(**options):
    given = {"n_trials": 6, "name": "s", "retries": 1, **options}
    return from_mark((), {"strategy": "noting", "space": {"x": range(999)}, **given})


def outcome(score=1.0, state=State.COMPLETE, **options):
    metrics = {} if score is None else {"score": score}
    return Outcome(state, score, metrics, **{"duration": 0.5, **options})
