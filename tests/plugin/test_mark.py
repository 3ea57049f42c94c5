"""What a sweep mark makes of a test: its items, their ids, and the values that reach it."""

from __future__ import annotations

import pytest


def bodies(items):
    """What stands in the brackets of the ids."""
    return [item.partition("[")[2][:-1] for item in items]


def test_a_grid_makes_an_item_of_each_combination_in_order(module, collected):
    module("""
        @pytest.mark.sweep(grid={"lr": [0.1, 0.01], "act": ["relu", "tanh"]})
        def test_f(lr, act): ...
    """)
    assert collected() == [
        "test_f[lr:0.1-act:relu]",
        "test_f[lr:0.1-act:tanh]",
        "test_f[lr:0.01-act:relu]",
        "test_f[lr:0.01-act:tanh]",
    ]


@pytest.mark.parametrize("strategy", ["random", "bayes"])
def test_other_strategies_make_numbered_items(module, collected, strategy):
    module(f"""
        @pytest.mark.sweep({strategy}={{"lr": uniform(0, 1)}}, n_trials=2, replicates=2)
        def test_f(lr): ...
    """)
    assert bodies(collected()) == [f"{strategy}-00{n}-r{r}" for n in (0, 1) for r in (0, 1)]


def test_numbers_of_many_trials_have_all_their_digits(module, collected):
    module("""
        @pytest.mark.sweep(random={"lr": uniform(0, 1)}, n_trials=1001)
        def test_f(lr): ...
    """)
    found = bodies(collected())
    assert len(set(found)) == 1001
    assert (found[7], found[-1]) == ("random-007", "random-1000")


def test_two_grids_are_told_apart_by_their_names(module, collected):
    module("""
        @pytest.mark.sweep(grid={"lr": [1]}, name="coarse")
        @pytest.mark.sweep(grid={"lr": [1, 2]}, name="fine")
        def test_f(lr): ...
    """)
    assert bodies(collected()) == ["coarse-lr:1", "fine-lr:1", "fine-lr:2"]


def test_missing_parameters_of_a_branch_arrive_as_none_and_are_absent_from_params(
    module, run, noted
):
    module("""
        @pytest.mark.sweep(grid=[{"kernel": ["linear"]}, {"kernel": ["rbf"], "gamma": [1, 2]}])
        def test_f(kernel, gamma, trial, note):
            note(kernel, gamma, dict(trial.params))
            return 0
    """)
    run("--sweep").assert_outcomes(passed=3)
    assert noted() == [
        ["linear", None, {"kernel": "linear"}],
        ["rbf", 1, {"kernel": "rbf", "gamma": 1}],
        ["rbf", 2, {"kernel": "rbf", "gamma": 2}],
    ]


@pytest.mark.parametrize("strategy", ["random", "bayes"])
def test_branches_of_distributions_are_conditional_spaces(module, run, noted, strategy):
    module(f"""
        @pytest.mark.sweep({strategy}=[{{"k": ["none"], "x": uniform(0, 1)}},
                                       {{"k": ["l2"], "w": uniform(0, 1)}}], n_trials=12)
        def test_f(k, w, x, trial, note):
            assert (x is None, w is None) == (k == "l2", k == "none")
            note(*trial.params)
            return x if w is None else w
    """)
    run("--sweep").assert_outcomes(passed=12)
    assert {tuple(sorted(names)) for names in noted()} == {("k", "x"), ("k", "w")}


def test_stacked_marks_are_read_top_down_and_share_a_study(module, run, journals):
    module("""
        @pytest.mark.sweep(random={"lr": uniform(0, 1)}, n_trials=2)
        @pytest.mark.sweep(grid={"lr": [0.5]})
        def test_f(lr):
            return lr
    """)
    result = run("--sweep", "-v")
    result.stdout.re_match_lines(
        [
            r"test_it.py::test_f\[random-000\] PASSED.*",
            r"test_it.py::test_f\[random-001\] PASSED.*",
            r"test_it.py::test_f\[lr:0.5\] PASSED.*",
        ],
        consecutive=True,
    )
    assert [record["nodeid"] for record in journals("run")] == ["test_it.py::test_f"]


def test_each_combination_of_other_parameters_is_a_study(module, run, journals):
    module("""
        @pytest.mark.parametrize("data", ["a", "b"])
        @pytest.mark.parametrize("fold", [0, 1])
        @pytest.mark.sweep(random={"lr": uniform(0, 1)}, n_trials=2)
        def test_f(lr, fold, data):
            return lr + fold
    """)
    run("--sweep").assert_outcomes(passed=8)
    studies = {record["nodeid"] for record in journals("run")}
    assert studies == {f"test_it.py::test_f[{f}-{d}]" for f in (0, 1) for d in "ab"}
    tables = {}
    for start in journals("start"):
        tables.setdefault(start["number"], set()).add(start["params"]["lr"])
    assert [len(values) for values in tables.values()] == [1, 1]


def test_order_of_decorators_does_not_matter_for_parametrize(module, collected):
    module("""
        @pytest.mark.sweep(grid={"lr": [1, 2]})
        @pytest.mark.parametrize("data", ["a", "b"])
        def test_f(lr, data): ...
    """)
    assert bodies(collected()) == ["a-lr:1", "a-lr:2", "b-lr:1", "b-lr:2"]


def test_marks_on_classes_and_modules_sweep_each_test(module, run, journals):
    module("""
        pytestmark = pytest.mark.sweep(grid={"lr": [1, 2]}, name="all")

        @pytest.mark.sweep(grid={"lr": [3]}, name="own")
        class TestModel:
            def test_f(self, lr):
                return lr

        def test_g(lr):
            return lr
    """)
    run("--sweep").assert_outcomes(passed=5)
    ran = [(start["sweep"], start["params"]["lr"]) for start in journals("start")]
    assert sorted(ran) == [("all", 1), ("all", 1), ("all", 2), ("all", 2), ("own", 3)]


def test_values_reach_the_fixtures_that_want_them(module, run, noted):
    module("""
        @pytest.fixture
        def model(lr):
            return f"model of {lr}"

        @pytest.mark.sweep(random={"lr": [1, 2]}, n_trials=2)
        def test_f(model, note):
            note(model)
            return 0
    """)
    run("--sweep").assert_outcomes(passed=2)
    assert sorted(noted()) == [["model of 1"], ["model of 2"]]


def test_a_parameter_overrides_a_fixture_of_its_name(module, run):
    module("""
        @pytest.fixture
        def lr():
            return "the fixture's"

        @pytest.mark.sweep(random={"lr": [1]}, n_trials=1)
        def test_f(lr):
            assert lr == 1
            return 0

        def test_g(lr):
            assert lr == "the fixture's"
    """)
    run("--sweep").assert_outcomes(passed=2)


@pytest.mark.parametrize("names", ["True", "['lr']", "'lr'"])
def test_indirect_parameters_go_through_their_fixture(module, run, noted, names):
    module(f"""
        @pytest.fixture
        def lr(request):
            return f"lr={{request.param}}"

        @pytest.mark.sweep(random={{"lr": [1, 2]}}, n_trials=2, indirect={names})
        def test_f(lr, note, trial):
            note(lr, trial.params["lr"])
            return 0
    """)
    run("--sweep").assert_outcomes(passed=2)
    assert sorted(noted()) == [["lr=1", 1], ["lr=2", 2]]


def test_indirect_parametrize_beside_it_is_left_alone(module, run):
    module("""
        @pytest.fixture
        def data(request):
            return request.param * 2

        @pytest.mark.parametrize("data", ["a"], indirect=True)
        @pytest.mark.sweep(random={"lr": [1]}, n_trials=1)
        def test_f(lr, data):
            assert (lr, data) == (1, "aa")
            return 0
    """)
    run("--sweep").assert_outcomes(passed=1)


def test_module_scoped_parameters_rebuild_module_scoped_fixtures(module, run, noted):
    module("""
        @pytest.fixture(scope="module")
        def big(lr, note):
            note("built", lr)
            yield lr
            note("gone", lr)

        @pytest.mark.sweep(random={"lr": [1, 2]}, n_trials=2, scope="module", replicates=2)
        def test_f(big, lr):
            assert big == lr
            return 0
    """)
    run("--sweep").assert_outcomes(passed=4)
    events = noted()
    assert [event for event, _ in events] == ["built", "gone"] * (len(events) // 2)
    assert {lr for _, lr in events} == {1, 2}


def test_grid_values_of_wider_scope_are_built_once_for_tests_that_share_them(module, run, noted):
    module("""
        @pytest.fixture(scope="module")
        def big(lr, note):
            note(lr)

        @pytest.mark.sweep(grid={"lr": [1, 2]}, scope="module", replicates=3)
        def test_f(big):
            return 0
    """)
    run("--sweep").assert_outcomes(passed=6)
    assert noted() == [[1], [2]]


def test_dotted_names_patch_a_copy_of_the_base(module, run, noted):
    module("""
        BASE = {"training": {"lr": 0.1, "epochs": 3}, "seed": 1}

        @pytest.mark.sweep(grid={"training.lr": [1, 2], "seed": [5]}, base=BASE)
        def test_f(trial, note):
            note(trial.config, dict(trial.params))
            trial.config["training"]["epochs"] = 99
            return BASE["training"]["epochs"]
    """)
    result = run("--sweep")
    result.assert_outcomes(passed=2)
    assert noted() == [
        [{"training": {"lr": n, "epochs": 3}, "seed": 5}, {"training.lr": n, "seed": 5}]
        for n in (1, 2)
    ]


def test_dotted_names_need_no_base(module, run, noted):
    module("""
        @pytest.mark.sweep(grid={"opt.lr": [1], "opt.decay": [2], "depth": [3]})
        def test_f(trial, depth, note):
            note(trial.config, depth)
            return 0
    """)
    run("--sweep").assert_outcomes(passed=1)
    assert noted() == [[{"opt": {"lr": 1, "decay": 2}, "depth": 3}, 3]]


KINDS = """
    from dataclasses import dataclass, field

    @dataclass(frozen=True)
    class Optimizer:
        lr: float = 0.1
        name: str = "sgd"

    @dataclass
    class Config:
        optimizer: Optimizer = field(default_factory=Optimizer)
        layers: list = field(default_factory=lambda: [8])
        width: int = 4

        def __post_init__(self):
            if self.width > 8:
                raise ValueError(f"width={self.width} is too wide")
"""
MODELS = """
    from typing import Annotated
    from pydantic import BaseModel, ConfigDict, Field, SecretStr

    class Optimizer(BaseModel):
        model_config = ConfigDict(frozen=True)
        lr: Annotated[float, Field(gt=0, lt=1)] = 0.1
        name: str = "sgd"

    class Config(BaseModel):
        optimizer: Optimizer = Optimizer()
        layers: list[int] = [8]
        width: int = Field(4, le=8, alias="w")
        hf_token: SecretStr = SecretStr("s3cr3t-F")
"""


@pytest.mark.parametrize(("kind", "source"), [("dataclasses", KINDS), ("pydantic", MODELS)])
def test_a_base_of_classes_gives_configs_of_them(module, run, noted, kind, source):
    pytest.importorskip(kind)
    module(
        source
        + """
    BASE = Config()

    @pytest.mark.sweep(grid={"optimizer.lr": [0.5, 0.2], "width": [8, 16], "fold": [0]}, base=BASE,
                       metric="loss", raises=ValueError)
    def test_f(trial, fold, note):
        config = trial.config
        assert trial.config is config
        config.layers.append(fold)
        note(type(config).__name__, type(config.optimizer).__name__, config.optimizer.lr)
        note(config.optimizer.name, config.width, BASE.width, BASE.optimizer.lr, BASE.layers)
        return config.optimizer.lr
    """
    )
    result = run("--sweep")
    assert result.parseoutcomes() == {"passed": 2, "tolerated": 2}
    assert noted()[::2] == [["Config", "Optimizer", 0.5], ["Config", "Optimizer", 0.2]]
    assert noted()[1::2] == [["sgd", 8, 4, 0.1, [8]]] * 2
    told = {
        "dataclasses": "failed: ValueError: width=16 is too wide (2)",
        "pydantic": "failed: ValidationError: w: Input should be less than or equ",
    }[kind]
    assert told in result.stdout.str()
    result = run("--sweep", "--sweep-set", "width=8", "--sweep-set", "optimizer.lr=0.3")
    result.assert_outcomes(passed=1)


def test_a_base_of_omegaconf_gives_configs_of_it(module, run, noted):
    pytest.importorskip("omegaconf")
    module("""
        from omegaconf import DictConfig, OmegaConf

        BASE = OmegaConf.create({"opt": {"lr": "???", "twice": "${opt.lr}${opt.lr}"}, "width": 4})
        OmegaConf.set_readonly(BASE, True)

        @pytest.mark.sweep(grid={"opt.lr": [1, 2], "width": [8]}, base=BASE, metric="loss")
        def test_f(trial, note):
            assert isinstance(trial.config, DictConfig)
            assert OmegaConf.is_readonly(trial.config)
            note(trial.config.opt.twice, trial.config.width, BASE.width)
            return trial.config.opt.lr
    """)
    run("--sweep").assert_outcomes(passed=2)
    assert noted() == [["11", 8, 4], ["22", 8, 4]]
    module("""
        from omegaconf import OmegaConf

        @pytest.mark.sweep(grid={"wdith": [8]}, base=OmegaConf.create({"width": 4}))
        def test_f(trial): ...
    """)
    run("--sweep").stdout.fnmatch_lines(
        ["test_it.py::test_f: sweep(grid=...): base= has no 'wdith', *; did you mean width?"]
    )


ASYNC_MARKS = {
    "asyncio": ["-o", "asyncio_default_fixture_loop_scope=function"],
    "anyio": ["-p", "no:asyncio"],
}


@pytest.mark.parametrize("plugin", ASYNC_MARKS)
def test_the_return_value_of_async_tests_is_their_score(
    pytester, everything_installed, module, journals, plugin
):
    module(f"""
        import asyncio

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.{plugin}
        @pytest.mark.sweep(random={{"lr": [1, 2]}}, n_trials=2)
        async def test_f(lr, trial):
            await asyncio.sleep(0)
            trial.report(lr + 10, step=0)
            if lr == 2:
                trial.prune()
            return lr
    """)
    result = pytester.runpytest("--sweep", *ASYNC_MARKS[plugin])
    assert result.parseoutcomes() == {"passed": 1, "pruned": 1}
    ends = {end["state"]: end["metrics"] for end in journals("end")}
    assert ends == {"complete": {"score": 1.0}, "pruned": {"score": 12.0}}


def test_xfail_goes_by_the_test_and_the_trial_by_itself(module, run, journals):
    module("""
        @pytest.mark.xfail
        @pytest.mark.sweep(grid={"lr": [1, 2]})
        def test_f(lr):
            assert lr == 1
            return lr

        @pytest.mark.xfail(strict=True)
        @pytest.mark.sweep(grid={"lr": [1, 2]})
        def test_g(lr):
            assert lr == 1
            return lr
    """)
    result = run("--sweep", "-v")
    result.assert_outcomes(xfailed=2, xpassed=1, failed=1)
    states = [end["state"] for end in journals("end")]
    # XPASS(strict) is a failure of the item, and so of its trial
    assert sorted(states) == ["complete", "failed", "failed", "failed"]


def test_skip_marks_keep_trials_from_starting(module, run, journals):
    module("""
        @pytest.mark.skip(reason="not today")
        @pytest.mark.sweep(grid={"lr": [1, 2]})
        def test_f(lr):
            return lr

        @pytest.mark.skipif(True, reason="no GPU")
        @pytest.mark.sweep(random={"lr": [1, 2]}, n_trials=2)
        def test_g(lr):
            return lr
    """)
    result = run("--sweep", "-rs")
    result.assert_outcomes(skipped=4)
    result.stdout.fnmatch_lines(["*not today*", "*no GPU*"])
    assert journals("start") == []


def test_other_fixtures_and_marks_work_unchanged(module, run):
    module("""
        @pytest.fixture
        def chosen(lr):
            return lr * 10

        @pytest.fixture
        def touched(tmp_path):
            (tmp_path / "touched").touch()

        @pytest.mark.usefixtures("touched")
        @pytest.mark.sweep(random={"lr": [1, 2]}, n_trials=2)
        def test_f(request, lr, tmp_path, capsys):
            assert (tmp_path / "touched").exists()
            print("hello")
            assert capsys.readouterr().out == "hello\\n"
            assert request.getfixturevalue("lr") is lr
            assert request.getfixturevalue("chosen") == lr * 10
            return 0
    """)
    run("--sweep").assert_outcomes(passed=2)


def test_callspec_shows_the_trials_values(module, run, noted):
    module("""
        @pytest.mark.sweep(random={"lr": [1, 2]}, n_trials=2)
        def test_f(request, lr, note):
            note(request.node.callspec.params["lr"], lr)
            return 0
    """)
    run("--sweep").assert_outcomes(passed=2)
    assert sorted(noted()) == [[1, 1], [2, 2]]


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("lr:0.01", 2),
        ("lr:0.01 and momentum:0.9", 1),
        ("lr:-1e-05", 2),
        ("not lr:0.01", 2),
        ("momentum", 4),
    ],
)
def test_values_can_be_selected(module, collected, expression, count):
    module("""
        @pytest.mark.sweep(grid={"lr": [0.01, -1e-5], "momentum": [0.9, 0.5]})
        def test_f(lr, momentum): ...
    """)
    assert len(collected("-k", expression)) == count


def test_a_trial_is_selected_by_its_node_id_and_stays_the_same(module, run, journals):
    module("""
        @pytest.mark.sweep(random={"lr": uniform(0, 1)}, n_trials=5)
        def test_f(lr):
            return lr
    """)
    run("--sweep").assert_outcomes(passed=5)
    whole = {start["number"]: start["params"] for start in journals("start")}
    run("--sweep", "test_it.py::test_f[random-003]", "--cache-clear").assert_outcomes(passed=1)
    (start,) = journals("start")
    assert start["params"] == whole[3]


def test_collecting_only_stores_nothing(module, collected, pytester):
    module("""
        @pytest.mark.sweep(bayes={"lr": uniform(0, 1)}, n_trials=3)
        def test_f(lr): ...
    """)
    assert len(collected()) == 3
    assert not (pytester.path / ".pytest_cache/d/hypersearch").exists()


def test_the_typed_helper_marks_a_test(module, collected):
    module("""
        @sweep(random={"lr": uniform(0, 1)}, n_trials=2, name="mine", seed=None)
        def test_f(lr): ...
    """)
    assert bodies(collected()) == ["mine-000", "mine-001"]


def test_the_typed_helper_gives_the_arguments_of_the_mark(run, module):
    module("""
        def test_g():
            ours = sweep(grid={"lr": [1]}, scope="module", mode="max").mark
            theirs = pytest.mark.sweep(grid={"lr": [1]}, scope="module", mode="max").mark
            assert ours.name == theirs.name == "sweep"
            assert ours.args == theirs.args
            assert ours.kwargs == theirs.kwargs
    """)
    run("-W", "error").assert_outcomes(passed=1)


@pytest.mark.parametrize("space", ["grid={}", "random={}, n_trials=4", "bayes={}, n_trials=4"])
def test_options_may_be_any_objects(module, run, journals, space):
    options = '{"f": [len, dict, Net, {"a": [1]}]}'
    module(f"""
        class Net: ...

        @pytest.mark.sweep({space.replace("{}", options)})
        def test_f(f, trial):
            assert any(f is each for each in (len, dict, Net)) or f == {{"a": [1]}}
            assert trial.params["f"] is f
            return 0
    """)
    run("--sweep").assert_outcomes(passed=4)
    labels = {start["params"]["f"] for start in journals("start")}
    assert labels == {"builtins.len", "builtins.dict", "test_it.Net", '{"a":[1]}'}


CITIES = """
    CITIES = ["M\u00fcnchen", "\u6771\u4eac", "\u5317\u4eac", "\u00e9", "e"]

    @pytest.mark.sweep(grid={"city": CITIES})
    def test_city(city, note):
        note(city)
        return len(city)
"""


def test_ids_have_options_beyond_ascii_as_pytest_escapes_them(module, collected):
    module(CITIES)
    escaped = [r"M\xfcnchen", r"\u6771\u4eac", r"\u5317\u4eac", r"\xe9", "e"]
    assert bodies(collected()) == [f"city:{city}" for city in escaped]


def test_ids_have_options_as_they_are_where_the_ini_file_says_so(module, collected, pytester):
    pytester.makeini(
        "[pytest]\ndisable_test_id_escaping_and_forfeit_all_rights_to_community_support = true\n"
    )
    module(CITIES)
    cities = ["M\u00fcnchen", "\u6771\u4eac", "\u5317\u4eac", "\u00e9", "e"]
    assert bodies(collected()) == [f"city:{city}" for city in cities]


@pytest.mark.parametrize(
    ("expression", "workers"),
    [("M\u00fcnchen or \u6771", []), (r"city:M\xfc or city:\u6771", ["-n1"])],
)
def test_options_beyond_ascii_are_selected_as_written_or_escaped(
    module, run, noted, expression, workers
):
    module(CITIES)
    result = run("--sweep", "-k", expression, *workers)
    assert result.parseoutcomes()["passed"] == 2
    assert sorted(noted()) == [["M\u00fcnchen"], ["\u6771\u4eac"]]
    outcomes = run("--sweep-resume").parseoutcomes()
    assert (outcomes["passed"], outcomes["cached"]) == (3, 2)


def test_ids_of_options_without_letters_are_their_codes(module, collected):
    module("""
        @pytest.mark.sweep(grid={"op": ["+", "*", "/", "<=", " ", ""]})
        def test_op(op): ...
    """)
    codes = ["+", "x2a", "x2f", "x3c-x3d", "x20", "empty"]
    assert bodies(collected()) == [f"op:{code}" for code in codes]


@pytest.mark.parametrize("workers", [[], ["-n1"]])
def test_numbers_of_any_kind_are_scores_reports_logged_values_and_bounds(
    module, run, journals, workers
):
    module("""
        from decimal import Decimal
        from fractions import Fraction
        import numpy as np

        KINDS = {"array": lambda x: np.array([x]), "zero": lambda x: np.array(x),
                 "float32": np.float32, "decimal": Decimal, "fraction": Fraction}

        @pytest.mark.sweep(grid={"kind": [*KINDS], "x": uniform(Fraction(1, 2), np.array([1.5]),
                                                                step=Decimal("0.5"))})
        def test_f(kind, x, trial):
            as_kind = KINDS[kind]
            trial.report({"loss": as_kind(x)}, step=as_kind(2))
            trial.log(rate=as_kind(x), **{kind: as_kind(2)})
            return as_kind(x)
    """)
    run("--sweep", *workers).assert_outcomes(passed=15)
    ends = journals("end")
    assert sorted(end["metrics"]["loss"] for end in ends) == sorted([0.5, 1.0, 1.5] * 5)
    assert all(end["logged"]["rate"] == end["metrics"]["loss"] for end in ends)


UNORDERED = """
    from dataclasses import dataclass
    from functools import partial
    import numpy as np

    WORDS = ["crop", "flip", "rotate", "noise", "mix", "blur"]

    def scaled(x, by, modes=()): ...

    @dataclass(frozen=True)
    class Plan:
        steps: tuple

    OPTIONS = [
        {*WORDS},
        frozenset(WORDS[:3]),
        {"tags": {*WORDS}, "depth": 2},
        {word: len(word) for word in {*WORDS}},
        [{*WORDS}, 1],
        partial(scaled, by=2, modes=frozenset(WORDS)),
        partial(scaled, 1),
        scaled,
        Plan(("a", "b")),
        np.linspace(0, 1, 5),
    ]
    SPACE = {"option": OPTIONS, "x": uniform(0, 1, step=0.25)}

    @pytest.mark.sweep(grid=SPACE)
    def test_grid(option, x, note):
        note(str(type(option)))
        return x

    @pytest.mark.sweep(random=SPACE, n_trials=12)
    def test_random(option, x, note):
        note(str(type(option)))
        return x
"""


def test_options_are_the_same_whatever_the_seed_of_hashes(module, pytester, monkeypatch, noted):
    module(UNORDERED)
    for seed, workers, outcome in (("1", "-n1", "passed"), ("2", "-n0", "cached")):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        result = pytester.runpytest_subprocess("--sweep-resume", workers)
        assert result.parseoutcomes() == {outcome: 62}
    assert len(noted()) == 62


@pytest.mark.parametrize(
    "option",
    [
        "lambda x: x",
        "object()",
        "partial(lambda x: x, 1)",
        "[1, {'f': Layer()}]",
        "Layer().forward",
        "Bag({'a', 'b', 'c'})",
        "np.zeros(1000)",
        "(x for x in 'abc')",
        "Layer().inner()",
    ],
)
def test_options_without_a_stable_text_are_refused_at_collection(module, run, option):
    module(f"""
        from dataclasses import dataclass
        from functools import partial
        import numpy as np

        class Layer:
            def __call__(self, x): ...
            def inner(self):
                def function(): ...
                return function
            forward = property(lambda self: partial(self))

        @dataclass
        class Bag:
            words: set

        @pytest.mark.sweep(random={{"f": [{option}, 2], "x": uniform(0, 1)}}, n_trials=4)
        def test_f(f, x): ...
    """)
    result = run("--sweep")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    (line,) = [each for each in result.outlines if each.startswith("test_it.py::test_f: ")]
    assert line.startswith("test_it.py::test_f: sweep(random=...): f: ")
    assert "expected options with a name that is the same in every process, not " in line
    assert line.endswith("give it a label: choice({'label': value})")


def test_labelled_options_go_by_their_labels(module, run, collected, noted):
    module("""
        @pytest.mark.sweep(grid={"f": {"small": object(), "large": object()}})
        def test_f(f, note):
            note(type(f).__name__)
            return 0
    """)
    assert bodies(collected()) == ["f:small", "f:large"]
    run("--sweep").assert_outcomes(passed=2)
    assert noted() == [["object"]] * 2


def test_weights_and_steps_shape_the_draws(module, run, journals):
    module("""
        @pytest.mark.sweep(
            random={"a": choice(["x", "y"], weights=[1e-9, 1]), "b": uniform(0, 1, step=0.25),
                    "c": randint(0, 100, step=50), "d": normal(0, 1, step=0.5)},
            n_trials=20)
        def test_f(a, b, c, d):
            return 0
    """)
    run("--sweep").assert_outcomes(passed=20)
    draws = [start["params"] for start in journals("start")]
    assert {draw["a"] for draw in draws} == {"y"}
    assert {draw["b"] for draw in draws} <= {0.0, 0.25, 0.5, 0.75, 1.0}
    assert {draw["c"] for draw in draws} == {0, 50, 100}
    assert all((draw["d"] * 2).is_integer() for draw in draws)


def test_frozen_scipy_distributions_are_drawn_from(module, run, noted):
    module("""
        import scipy.stats

        @pytest.mark.sweep(random={"lr": scipy.stats.loguniform(1e-3, 1),
                                   "n": scipy.stats.randint(1, 4)}, n_trials=8)
        def test_f(lr, n, note):
            assert type(lr) is float and type(n) is int
            note(lr, n)
            return 0
    """)
    run("--sweep").assert_outcomes(passed=8)
    assert all(1e-3 <= lr <= 1 and n in {1, 2, 3} for lr, n in noted())
    assert len({lr for lr, _ in noted()}) == 8


def test_points_of_a_grid_come_first_and_once(module, collected):
    module("""
        @pytest.mark.sweep(grid={"lr": [1, 2, 3]}, points=[{"lr": 3}])
        def test_f(lr): ...
    """)
    assert bodies(collected()) == ["lr:3", "lr:1", "lr:2"]


@pytest.mark.parametrize("strategy", ["random", "bayes"])
def test_points_are_tried_first_and_count(module, run, journals, strategy):
    module(f"""
        @pytest.mark.sweep({strategy}={{"lr": uniform(0, 1), "n": [1, 2]}}, n_trials=4,
                           points=[{{"lr": 0.5, "n": 2}}, {{"lr": 1, "n": 1}}])
        def test_f(lr, n):
            return lr
    """)
    run("--sweep").assert_outcomes(passed=4)
    draws = [start["params"] for start in journals("start")]
    assert draws[:2] == [{"lr": 0.5, "n": 2}, {"lr": 1.0, "n": 1}]
    assert len({str(draw) for draw in draws}) == 4


def test_numpy_values_become_plain_ones(module, run, collected, noted):
    module("""
        import numpy as np

        @pytest.mark.sweep(grid={"lr": np.logspace(-2, 0, 3), "n": [np.int64(4), np.bool_(True)]})
        def test_f(lr, n, note):
            note(type(lr).__name__, type(n).__name__)
            return np.float32(lr)
    """)
    assert bodies(collected("-k", "n:4")) == ["lr:0.01-n:4", "lr:0.1-n:4", "lr:1-n:4"]
    run("--sweep").assert_outcomes(passed=6)
    assert noted() == [["float", "int"], ["float", "bool"]] * 3


def test_sweep_trials_replaces_the_marks_numbers_but_not_grids(module, collected):
    module("""
        @pytest.mark.sweep(random={"lr": uniform(0, 1)}, n_trials=5,
                           points=[{"lr": 0.5}, {"lr": 0.6}, {"lr": 0.7}])
        @pytest.mark.sweep(bayes={"lr": uniform(0, 1)}, n_trials=5)
        @pytest.mark.sweep(grid={"lr": [1.0, 2.0, 3.0]})
        def test_f(lr): ...
    """)
    few = bodies(collected("--sweep-trials=2"))
    assert few == ["random-000", "random-001", "bayes-000", "bayes-001", "lr:1", "lr:2", "lr:3"]
    assert len(collected("--sweep-trials", "7")) == 7 + 7 + 3


def test_sweep_seed_replaces_the_marks_seeds(module, run, journals):
    module(
        """
        @pytest.mark.sweep(random={"lr": uniform(0, 1)}, n_trials=2, seed=SEED)
        def test_f(lr):
            return lr
    """.replace("SEED", "3")
    )

    def table(*args):
        run("--sweep", "--cache-clear", *args)
        return [(start["params"]["lr"], start["seed"]) for start in journals("start")]

    own = table()
    other = table("--sweep-seed=4")
    assert not {value for pair in own for value in pair} & {
        value for pair in other for value in pair
    }
    assert table("--sweep-seed", "3") == own


def test_the_random_table_is_the_same_for_any_order_and_number_of_workers(module, run, journals):
    source = """
        @pytest.mark.sweep(random={"lr": loguniform(1e-4, 1), "n": randint(1, 9)}, n_trials=COUNT)
        def test_f(lr, n):
            return lr
    """

    def table(count, *args):
        module(source.replace("COUNT", str(count)))
        run("--sweep", "--cache-clear", *args)
        starts = {start["number"]: start["params"] for start in journals("start")}
        return [starts[number] for number in sorted(starts)]

    straight = table(8)
    assert table(8, "-n2") == straight
    last, first = "test_it.py::test_f[random-007]", "test_it.py::test_f[random-000]"
    assert table(8, last, first) == [straight[0], straight[7]]
    assert table(12)[:8] == straight


@pytest.mark.parametrize("strategy", ["random", "bayes"])
def test_a_finite_space_is_used_up_without_repeats(module, run, journals, strategy):
    module(f"""
        @pytest.mark.sweep({strategy}={{"a": [1, 2, 3], "b": randint(0, 1)}}, n_trials=50)
        def test_f(a, b):
            return a + b
    """)
    run("--sweep").assert_outcomes(passed=6)
    draws = {(start["params"]["a"], start["params"]["b"]) for start in journals("start")}
    assert draws == {(a, b) for a in (1, 2, 3) for b in (0, 1)}


@pytest.mark.parametrize("mode", ["skip", "run", "smoke"])
@pytest.mark.parametrize(
    ("action", "outcome"), [("default", {"passed": 1, "warnings": 1}), ("error", {"errors": 1})]
)
def test_a_mark_on_a_testcase_method_warns(module, run, mode, action, outcome):
    module("""
        import unittest

        class TestOld(unittest.TestCase):
            @pytest.mark.sweep(grid={"lr": [1, 2]})
            def test_f(self): ...
    """)
    result = run(f"--sweep={mode}", "-W", action)
    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines(["*test_it.py::TestOld::test_f: the sweep mark has no effect*"])
    result.stdout.no_fnmatch_line("*plugin.py*")


HOSTILE = [
    *("", " ", "a b", "a/b", "a::b", "[x]", "a[0]", "é", "日本", "x=1", "'", '"', "\n", "a,b", "#"),
    *("\\", "%d", "{}", "\x00", "\ud800", "a" * 300, "None", "1", "True", "-", "--sweep", "not"),
    *(None, True, 1, 1.0, -1, 1e-300, 1e300, 0.1 + 0.2, 0.3, 0.30000001, 0.0, 123456789.123),
]


def test_ids_of_hostile_values_are_unique_and_can_be_selected(module, collected, run):
    module(f"""
        VALUES = {HOSTILE!r}

        @pytest.mark.sweep(grid={{"v": VALUES, "w": [1, 2]}}, replicates=2)
        def test_f(v, w, trial):
            assert v is None or type(v)(v) == v
            return trial.number
    """)
    items = collected("--strict-markers", "-W", "error")
    assert len(items) == len(set(items)) == 4 * len(HOSTILE)
    run("--sweep", "-o", "strict_parametrization_ids=true").assert_outcomes(passed=len(items))
    for item in (items[0], items[-1], *items[20:100:16]):
        assert item.isascii()
        assert not set(bodies([item])[0]) & set(" []=()'\"\\#%{}")
        assert item in collected(f"test_it.py::{item}")
        name = item.partition("[")[2][:-1]
        assert item in collected("-k", name)


def test_equal_texts_of_different_floats_are_spelled_out(module, collected):
    module("""
        @pytest.mark.sweep(grid={"lr": [0.3, 0.1 + 0.2, 0.5]})
        def test_f(lr): ...
    """)
    assert bodies(collected()) == ["lr:0.3", "lr:0.30000000000000004", "lr:0.5"]


def test_a_value_that_looks_like_a_number_for_repeated_ids_makes_none_equal(module, collected):
    module("""
        @pytest.mark.sweep(grid={"v": ["a", "a ", "a-000"]})
        def test_f(v): ...
    """)
    assert bodies(collected()) == ["v:a-000", "v:a-001", "v:a-000-002"]


def test_trials_of_parameters_with_other_names_are_one_study(module, collected, run):
    module("""
        @pytest.mark.sweep(grid={"β": [1, 2], "größe": [1, 2]}, replicates=2)
        def test_f(β, trial):
            return β

        def test_best(sweeps):
            assert len(sweeps.study("test_f").trials) == 8
    """)
    assert bodies(collected())[0] == r"\u03b2:1-gr\xf6\xdfe:1-r0"
    run("--sweep").assert_outcomes(passed=9)
