"""Sweeps that begin with the best configurations of stored runs."""

from pytest_hypersearch import load_results

SOURCE = """
from pytest_hypersearch import uniform

SPACE = {"x": uniform(-1, 1), "y": uniform(-1, 1)}

@pytest.mark.sweep(bayes=SPACE, n_trials=12, metric="loss", raises=AssertionError)
def test_a(x, y):
    assert x < 0.9
    return (x - 0.3) ** 2 + (y + 0.5) ** 2
"""
WARM = (
    SOURCE
    + """
@pytest.mark.sweep(bayes=SPACE, n_trials=8, metric="loss", points="test_a@-1", parallel=2)
def test_b(x, y):
    return (x - 0.3) ** 2 + (y + 0.5) ** 2 + 5

@pytest.mark.sweep(random={"x": uniform(-1, 0.5)}, n_trials=4, points="test_a", metric="cost",
                   mode="max")
def test_c(x):
    return x
"""
)


def configs(folder, test, run=None):
    return [trial.params for trial in load_results(folder, run=run).filter(test=test)]


def test_the_best_of_a_stored_run_are_tried_first(project):
    project.write(SOURCE)
    project.run()
    best = [one.params for one in load_results(project.path).best(5)]
    project.write(WARM)
    project.run("-k", "test_b or test_c")
    first = configs(project.path, "test_b")
    assert first[:2] == best[:2]
    (study,) = load_results(project.path).filter(test="test_b").studies
    assert study.sweeps[0].points == tuple(best[:2])
    assert len(study.sweeps[0].prior) >= 10
    # its results inform the search: cold, it begins with a design over the whole space
    scores = [trial.score for trial in load_results(project.path).filter(test="test_b")]
    assert min(scores[2:6]) < 5.01
    expected = next(each for each in best if each["x"] <= 0.5)
    assert configs(project.path, "test_c")[0] == {"x": expected["x"]}
    # what is stored now has a run more, but the resume takes what was recorded
    project.run("-k", "test_a", "--sweep-seed", "5")
    project.run("-k", "test_b", "--sweep-resume", "--sweep-trials", "10")
    assert configs(project.path, "test_b", run=-1)[:8] == first
    project.run("-k", "test_b")
    assert configs(project.path, "test_b", run=-1)[:2] != first[:2]


def test_any_number_of_workers_proposes_the_same(project):
    project.write(SOURCE)
    project.run()
    project.write(WARM)
    project.run("-k", "test_b")
    project.run("-k", "test_b", "-n", "2")
    assert configs(project.path, "test_b", run=-1) == configs(project.path, "test_b", run=-2)


def test_a_sweep_that_finds_nothing_to_begin_with_says_so(project):
    reasons = {
        "test_other": "there is no such stored run",
        "test_a@7": "there is no such stored run",
        "test_a@-1": "none of its configurations is in the search space",
        "test_a@no/way": "there is no such stored run",
    }
    project.write(SOURCE)
    project.run("-k", "test_a")
    project.write(
        SOURCE
        + "".join(
            f"""
@pytest.mark.sweep(random={{"z": uniform(0, 1)}}, n_trials=3, points={points!r})
def test_b{place}(z):
    return z
"""
            for place, points in enumerate(reasons)
        )
    )
    code, text = project.run("-k", "test_b")
    assert code == 0
    for place, (points, reason) in enumerate(reasons.items()):
        assert f"points='{points}' gave none: {reason}" in " ".join(text.split())
        assert len(configs(project.path, f"test_b{place}")) == 3
