"""Studies as a session leaves them, for tests of what is shown of them."""

from dataclasses import replace
from itertools import product

from pytest_hypersearch.core.space import Space, choice
from pytest_hypersearch.core.study import StudyResults
from pytest_hypersearch.core.sweep import Sweep
from pytest_hypersearch.core.trial import State, TrialRecord

NO_PARAMETERS = Space(({},))


def sweep_of(strategy="grid", planned=0, *, space=NO_PARAMETERS, **changes):
    replicates = changes.get("replicates", 1)
    known = {
        "name": strategy,
        "strategy": strategy,
        "space": space,
        "n_trials": planned // replicates,
        "metric": "loss",
        "planned": planned,
    }
    return Sweep(**{**known, **changes})


def grid_of(*branches):
    """A space of branches that give the number of values of each parameter."""
    return Space(
        tuple({name: choice([*range(size)]) for name, size in each.items()} for each in branches)
    )


def record(number=0, score=None, *, sweep="grid", replicate=0, state=None, **changes):
    state = state or (State.FAILED if score is None else State.COMPLETE)
    known = {
        "nodeid": f"test_train.py::test_cnn[{sweep}-{number:03d}-r{replicate}]",
        "params": {},
        "duration": 0.5,
    }
    return TrialRecord(
        sweep=sweep, number=number, replicate=replicate, state=state, score=score, **known | changes
    )


def booth_grid():
    """A 3x3 grid with 3 replicates: all complete."""
    centres = {
        (0.001, 0.0): 4.81,
        (0.001, 0.5): 2.63,
        (0.001, 0.9): 0.412,
        (0.01, 0.0): 0.523,
        (0.01, 0.5): 0.0871,
        (0.01, 0.9): 0.0123,
        (0.1, 0.0): 0.0441,
        (0.1, 0.5): 0.0652,
        (0.1, 0.9): 1.37,
    }
    trials = [
        record(
            number,
            centre * (1 + 0.05 * (replicate - 1)),
            replicate=replicate,
            params={"lr": lr, "momentum": momentum},
            nodeid=f"test_booth.py::test_booth[lr:{lr}-momentum:{momentum}-r{replicate}]",
            seed=replicate,
        )
        for number, ((lr, momentum), centre) in enumerate(centres.items())
        for replicate in range(3)
    ]
    space = grid_of({"lr": 3, "momentum": 3})
    sweep = sweep_of(planned=27, replicates=3, space=space, elapsed=1.23)
    return StudyResults("test_booth.py::test_booth", (sweep,), tuple(trials), run="/cache/run-001")


def cnn_trials(sweep, total, failing=(), offset=0.0, prefix="test_train.py::test_cnn["):
    for number in range(total):
        lr = 10 ** (-1 - 0.37 * (number * 7 % 11))
        params = {"lr": lr, "width": 32 * (1 + number % 4), "act": ("relu", "tanh")[number % 2]}
        nodeid = f"{prefix}{sweep}-{number:03d}]"
        score = 0.95 - 0.01 * (number * 13 % 17) - 0.0003 * number + offset
        if number in failing:
            yield record(number, sweep=sweep, params=params, nodeid=nodeid, reason=failing[number])
        else:
            yield record(number, score, sweep=sweep, params=params, nodeid=nodeid)


def cnn_random(total=40):
    """Random search for accuracy with two failures."""
    failing = {3: "ValueError: loss is nan", 8: "MemoryError", 11: "ValueError: loss is nan"}
    sweep = sweep_of(
        "random",
        planned=total,
        metric="val_acc",
        mode="max",
        elapsed=31.02,
    )
    trials = tuple(cnn_trials("random", total, failing))
    return StudyResults("test_train.py::test_cnn", (sweep,), trials, run="/cache/run-001")


def booth_stacked():
    """Grid, random and bayes on one test."""
    grid = booth_grid()
    changes = {"replicates": 3, "planned": 81}
    others = []
    for place, strategy in enumerate(("random", "bayes")):
        for number, replicate in product(range(27), range(3)):
            loss = (0.9 - 0.4 * place) / (1 + number * 7 % 23) ** 2 * (1 + 0.1 * replicate)
            params = {"lr": 0.1 / (1 + number), "momentum": (number * 5 % 27) / 27}
            failed = strategy == "random" and number == 5
            others.append(
                record(
                    number,
                    None if failed else loss,
                    sweep=strategy,
                    replicate=replicate,
                    params=params,
                    nodeid=f"test_booth.py::test_booth[{strategy}-{number:03d}-r{replicate}]",
                    reason="OverflowError: math range error" if failed else "",
                )
            )
    sweeps = (
        *grid.sweeps,
        sweep_of("random", elapsed=3.9, **changes),
        sweep_of("bayes", elapsed=12.3, **changes),
    )
    return StudyResults(grid.nodeid, sweeps, (*grid.trials, *others), run=grid.run)


def parametrized(count=3, test="test_train.py::test_cnn", metric="val_acc"):
    """One test with other arguments, a random sweep each."""
    sweep = sweep_of("random", planned=10, metric=metric, mode="max", elapsed=2.5)
    return [
        StudyResults(
            f"{test}[data{index}]",
            (sweep,),
            tuple(
                cnn_trials(
                    "random",
                    10,
                    offset=-0.002 * (index * 37 % 101),
                    prefix=f"{test}[data{index}-",
                )
            ),
            run="/cache/run-001",
        )
        for index in range(count)
    ]


def many_tests(count):
    """Different tests, a random sweep each."""
    return [
        replace(
            parametrized(1, f"tests/test_models.py::test_{index:03d}")[0],
            nodeid=f"tests/test_models.py::test_{index:03d}",
        )
        for index in range(count)
    ]
