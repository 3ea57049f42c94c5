import ast
import subprocess
import sys
from textwrap import dedent

import pytest

from pytest_hypersearch.store.fingerprint import Fingerprints, changed

TEST = """
    import pytest
    from pytest_hypersearch import uniform, choice
    from models import build
    from plots import draw

    SPACE = {"lr": uniform(0, 1)}
    RATE = 0.1

    def scale(x):
        return x * RATE

    def unrelated():
        return draw()

    @pytest.fixture
    def data():
        return [1, 2]

    @pytest.mark.sweep(random=SPACE, n_trials=10)
    def test_f(lr, data):
        \"\"\"Fit.\"\"\"
        return build(scale(lr))  # as usual

    def test_g():
        assert unrelated()
"""
FILES = {
    "tests/test_a.py": TEST,
    "models.py": "import layers\ndef build(x): return layers.dense(x)\n",
    "layers.py": "def dense(x): return x\n",
    "plots.py": "def draw(): pass\n",
    "conftest.py": "import db\n",
    "db.py": "URL = ''\n",
}
PYTHON = f"=={sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def project(tmp_path):
    """Write files, and return their fingerprint for a test."""

    class Project:
        path = tmp_path

        def write(self, files):
            for name, text in files.items():
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(text, bytes):
                    path.write_bytes(text)
                else:
                    path.write_text(dedent(text), "utf-8", "surrogatepass")

        def of(self, function="test_f", *, others=(), depends_on=(), roots=(".",)):
            return Fingerprints([tmp_path / name for name in roots]).of(
                tmp_path / "tests" / "test_a.py",
                function,
                [tmp_path / name for name in others],
                [tmp_path / name for name in depends_on],
            )

    project = Project()
    project.write(FILES)
    return project


def after(project, old, new, function="test_f", name="tests/test_a.py", **options):
    """What changes in the fingerprint when a text is replaced in a file."""
    before = project.of(function, **options)
    text = dedent(FILES.get(name, TEST) if name in FILES else (project.path / name).read_text())
    assert old in text
    project.write({name: text.replace(old, new)})
    return changed(before, project.of(function, **options))


def of_module(project, text, function="test_f"):
    project.write({"tests/test_a.py": text})
    return project.of(function)


def test_it_names_the_files_that_matter_and_python(project):
    found = project.of(others=["conftest.py"])
    assert sorted(found) == [
        "conftest.py",
        "db.py",
        "layers.py",
        "models.py",
        "python",
        "tests/test_a.py",
    ]
    assert found["python"] == PYTHON
    assert all(len(digest) == 16 for name, digest in found.items() if name != "python")


def test_it_is_the_same_in_another_process_and_place(project, tmp_path):
    other = tmp_path / "elsewhere"
    project.write({f"elsewhere/{name}": text for name, text in FILES.items()})
    code = f"""
        from pathlib import Path
        from pytest_hypersearch.store.fingerprint import Fingerprints
        root = Path({str(other)!r})
        files = [root / "conftest.py"]
        print(Fingerprints([root]).of(root / "tests/test_a.py", "test_f", files))
    """
    answer = subprocess.run(
        [sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True
    )
    assert ast.literal_eval(answer.stdout) == project.of(others=["conftest.py"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # as usual", ""),
        ("x * RATE", "(x  *\n      RATE)"),
        ('"""Fit."""', '"""Fit a model."""'),
        ('"""Fit."""\n', "\n"),
        ("import pytest\n", '"""Tests."""\n# -*- coding: utf-8 -*-\nimport pytest\n\n\n'),
        ("n_trials=10", "n_trials=99, replicates=3"),
        ("uniform(0, 1)", "uniform(0, 9)"),
        ("random=SPACE", "bayes={**SPACE, 'x': choice([1, 2])}"),
        ("SPACE = {", "MORE = [1]\nSPACE = {'n': MORE, "),
        ("@pytest.mark.sweep(", "@pytest.mark.sweep(grid={'lr': [1]})\n@pytest.mark.sweep("),
        ("import uniform, choice", "import choice, loguniform, uniform"),
        ("assert unrelated()", "assert not unrelated()"),
        ("return draw()", "return 1"),
        ("def test_g():", "def test_h(): pass\ndef test_g():"),
        ("def test_g():\n    assert unrelated()\n", ""),
        ("RATE = 0.1", "OTHER = 0.2\nRATE = 0.1"),
    ],
)
def test_what_does_not_matter_changes_nothing(project, old, new):
    assert after(project, old, new) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("scale(lr)", "scale(2 * lr)"),
        ("x * RATE", "x + RATE"),
        ("RATE = 0.1", "RATE = 0.2"),
        ("RATE = 0.1", "RATE: float = 0.1"),
        ("RATE = 0.1", "RATE = 0.1\nRATE = 0.2"),
        ("RATE = 0.1", "RATE = 0.1\nRATE += 1"),
        ("def scale(x)", "def scale(x, y=0)"),
        ("return [1, 2]", "return [1, 2.0]"),
        ("return [1, 2]", "return [1, True]"),
        ("return [1, 2]", "return ['1', 2]"),
        ("def test_f(lr, data)", "def test_f(lr)"),
        ("def test_f(lr, data)", "async def test_f(lr, data)"),
        ("@pytest.mark.sweep", "@pytest.mark.slow\n@pytest.mark.sweep"),
        ("import build", "import build2 as build"),
        ("SPACE = {", "import random\nrandom.seed(0)\nSPACE = {"),
        ("SPACE = {", "if 1: pass\nSPACE = {"),
        ("SPACE = {", "_ = print()\nSPACE = {"),
        ("SPACE = {", "pytest.x = 1\nSPACE = {"),
        ("SPACE = {", "def setup_module(): pass\nSPACE = {"),
        ("SPACE = {", "def pytest_generate_tests(metafunc): pass\nSPACE = {"),
        ("SPACE = {", "@pytest.fixture(autouse=True)\ndef more(): pass\nSPACE = {"),
        ("SPACE = {", "pytestmark = pytest.mark.usefixtures('x')\nSPACE = {"),
        ("SPACE = {", "from __future__ import annotations\nSPACE = {"),
        ("n_trials=10", "n_trials=10, base={'depth': 3}"),
    ],
)
def test_what_the_test_runs_changes_its_file(project, old, new):
    assert after(project, old, new) == ["tests/test_a.py"]


@pytest.mark.parametrize("name", ["models.py", "layers.py", "conftest.py", "db.py"])
def test_a_changed_module_is_named(project, name):
    options = {"others": ["conftest.py"]}
    before = project.of(**options)
    project.write({name: dedent(FILES[name]) + "# comment\n"})
    assert project.of(**options) == before
    project.write({name: dedent(FILES[name]) + "NEW = 1\n"})
    assert changed(before, project.of(**options)) == [name]


def test_each_test_has_its_own(project):
    assert "plots.py" not in project.of("test_f")
    assert "models.py" not in project.of("test_g")
    assert after(project, "return draw()", "return draw(1)", "test_g") == ["tests/test_a.py"]


def test_added_and_removed_files_are_named():
    assert changed({"a": "1", "b": "2", "c": "3"}, {"b": "2", "c": "4", "d": "5"}) == [
        "a",
        "c",
        "d",
    ]


MARKED = {
    "pytest.mark": "import pytest\n@pytest.mark.sweep({0})\ndef test_f(x): ...",
    "mark": "from pytest import mark\n@mark.sweep({0})\ndef test_f(x): ...",
    "bare": "import pytest\n@pytest.mark.sweep\ndef test_f(x): ...\nX = [{0}]",
    "sweep": "from pytest_hypersearch import sweep\n@sweep({0})\ndef test_f(x): ...",
    "sweep as": "from pytest_hypersearch import sweep as s\n@s({0})\ndef test_f(x): ...",
    "star": "from pytest_hypersearch import *\n@sweep({0})\ndef test_f(x): ...",
    "hs.sweep": "import pytest_hypersearch as hs\n@hs.sweep({0})\ndef test_f(x): ...",
    "module": "import pytest_hypersearch\n@pytest_hypersearch.sweep({0})\ndef test_f(x): ...",
    "alias": "import pytest\ntune = pytest.mark.sweep({0})\n@tune\ndef test_f(x): ...",
    "annotated": "import pytest\nt: object = pytest.mark.sweep({0})\n@t\ndef test_f(x): ...",
    "pytestmark": "import pytest\npytestmark = pytest.mark.sweep({0})\ndef test_f(x): ...",
    "list": "import pytest\npytestmark = [pytest.mark.sweep({0}), 1]\ndef test_f(x): ...",
    "only list": "import pytest\npytestmark = (pytest.mark.sweep({0}),)\ndef test_f(x): ...",
    "if": "import pytest\nif 1:\n  @pytest.mark.sweep({0})\n  def test_f(x): ...",
    "try": "import pytest\ntry: 1\nexcept E:\n  @pytest.mark.sweep({0})\n  def test_f(x): ...",
    "constant": "import pytest\nS = {{'x': [{0}]}}\n@pytest.mark.sweep(grid=S)\ndef test_f(x): ...",
    "update": "import pytest\nS = {{}}\nS['x'] = [{0}]\n@pytest.mark.sweep(S)\ndef test_f(x): ...",
}


@pytest.mark.parametrize("text", MARKED.values(), ids=MARKED)
def test_a_sweep_mark_does_not_matter_however_it_is_written(project, text):
    assert of_module(project, text.format("1, 2")) == of_module(project, text.format("1, 2, 3"))


@pytest.mark.parametrize(
    "text",
    [
        "import wandb\n@wandb.sweep({0})\ndef test_f(x): ...",
        "@sweep({0})\ndef test_f(x): ...",
        "import pytest\npytestmark = [pytest.mark.sweep(1), {0}]\ndef test_f(x): ...",
        "import pytest\nB = {{'x': {0}}}\n@pytest.mark.sweep(grid=1, base=B)\ndef test_f(x): ...",
        "import pytest\nt = pytest.mark.sweep(base={0})\n@t\ndef test_f(x): ...",
        "import pytest\npytestmark = pytest.mark.sweep(1, base={0})\ndef test_f(x): ...",
        "S = {{'x': [{0}]}}\n@pytest.mark.sweep(grid=S)\ndef test_f(x): return len(S)",
        "def act(): {0}\n@pytest.mark.sweep(grid={{'a': [act]}})\ndef test_f(x): ...",
        "def act(): {0}\nS = [act]\n@pytest.mark.sweep(grid={{'a': S}})\ndef test_f(x): ...",
        "def act(): {0}\nt = pytest.mark.sweep(grid=[act])\n@t\ndef test_f(x): ...",
        "fix = fixture({0})\ndef test_f(x): ...",
        "fix = make({0})\ndef test_f(fix): ...",
        "fix = make({0})\n@pytest.mark.usefixtures('fix')\ndef test_f(): ...",
        "@pytest_asyncio.fixture\nasync def fix(): {0}\ndef test_f(): ...",
        "class A:\n  x: 'int'\n  y = {0}\ndef test_f(a: A): ...",
        "class A:\n  x: T({0})\ndef test_f(a): return A",
        "a, (b, *c) = {0}\ndef test_f(): return c",
        "for i in {0}: test_f = i",
        "def test_f(): return '{0}'",
        "def test_f(): return b'{0}'",
        "def test_f(): return f'{0}'",
        "def test_f():\n  '''Doc.'''\n  return {{**{0}}}",
    ],
)
def test_other_code_matters(project, text):
    assert of_module(project, text.format("1")) != of_module(project, text.format("2"))


def test_code_behind_choices_matters_but_not_constants_from_elsewhere(project):
    text = """
        import pytest
        from spaces import SPACE
        from models import build
        @pytest.mark.sweep(grid={**SPACE, "model": [build]})
        def test_f(lr, model): ...
    """
    spaces = (
        "import layers\nfrom plots import draw\nSPACE = {'lr': [1], 'act': [draw]}\nX = layers\n"
    )
    project.write({"tests/test_a.py": text, "spaces.py": spaces})
    before = project.of()
    assert sorted(set(before) - {"python"}) == [
        "layers.py",
        "models.py",
        "plots.py",
        "tests/test_a.py",
    ]
    project.write({"spaces.py": spaces.replace("[1]", "[1, 2]")})
    assert project.of() == before
    project.write({"spaces.py": "from more import SPACE\n", "more.py": "SPACE = {}\n"})
    assert changed(before, project.of()) == ["plots.py"]
    project.write({"more.py": "def act(): ...\nSPACE = {'act': [act]}\n"})
    assert changed(before, project.of()) == ["more.py", "plots.py"]


IN_CLASS = """
    import pytest
    from pytest_hypersearch import sweep
    def mixed(): return 1
    def after(): return 2
    class Base:
        WIDTH = 1
        def test_base(self): ...
    @pytest.mark.slow
    @sweep(grid={"x": [1]})
    class TestA(Base):
        '''Doc.'''
        pytestmark = [sweep(grid={"y": [1]})]
        LR = 0.1
        @pytest.fixture
        def data(self): return mixed()
        def helper(self): return 3
        @sweep(grid={"z": [1]})
        def test_f(self): return 4
        def test_g(self): return after()
        class TestInner:
            DEPTH = 5
            def test_h(self): return 6
            def test_i(self): return 7
"""


CHANGES = {
    "a function of a fixture": ("return 1", "return 9"),
    "a function of test_g": ("return 2", "return 9"),
    "a helper": ("return 3", "return 9"),
    "test_f": ("return 4", "return 9"),
    "test_g": ("return after()", "return after(9)"),
    "test_h": ("return 6", "return 9"),
    "test_i": ("return 7", "return 9"),
    "an attribute": ("LR = 0.1", "LR = 0.9"),
    "an inner attribute": ("DEPTH = 5", "DEPTH = 9"),
    "a base": ("WIDTH = 1", "WIDTH = 9"),
    "a base's test": ("test_base(self)", "test_base(self, x)"),
    "another base": ("TestA(Base)", "TestA(Base, metaclass=M)"),
    "a mark": ("mark.slow", "mark.quick"),
    "a class's sweep": ('{"x": [1]}', '{"x": [1, 2]}'),
    "a class's pytestmark": ('{"y": [1]}', '{"y": [1, 2]}'),
    "a test's sweep": ('{"z": [1]}', '{"z": [1, 2]}'),
    "a docstring": ("Doc.", "Other."),
}
OF_CLASS = {"a function of a fixture", "a helper", "an attribute", "another base", "a mark"} | {
    "a base",
    "a base's test",
}
NEVER = {"a class's sweep", "a class's pytestmark", "a test's sweep", "a docstring"}


@pytest.mark.parametrize(
    ("function", "counted"),
    [
        ("TestA.test_f", OF_CLASS | {"test_f"}),
        ("TestA.test_g", OF_CLASS | {"test_g", "a function of test_g"}),
        ("TestA.TestInner.test_h", OF_CLASS | {"test_h", "an inner attribute"}),
        ("TestA.test_base", OF_CLASS),
        ("TestB.test_f", set(CHANGES) - NEVER),
        ("make.<locals>.test_f", set(CHANGES) - NEVER),
    ],
)
def test_of_a_class_all_but_other_tests_counts(project, function, counted):
    # A class inside belongs to its outer class's tests too.
    if function in {"TestA.test_f", "TestA.test_g", "TestA.test_base"}:
        counted = counted | {"an inner attribute", "test_h", "test_i"}
    before = of_module(project, IN_CLASS, function)
    matter = set()
    for what, (old, new) in CHANGES.items():
        assert IN_CLASS.count(old) == 1
        if of_module(project, IN_CLASS.replace(old, new), function) != before:
            matter.add(what)
    assert matter == counted


def loaded(project, text, files=(), **options):
    """The modules that count for a test module beside itself."""
    project.write(dict.fromkeys(files, ""))
    project.write({"tests/test_a.py": f"{text}\ndef test_f(): return {text.split()[-1]}"})
    return sorted(set(project.of(**options)) - {"python", "tests/test_a.py"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import a", ["a/__init__.py"]),
        ("import a.b.c as x", ["a/__init__.py", "a/b/__init__.py", "a/b/c.py"]),
        ("from a import b", ["a/__init__.py", "a/b/__init__.py"]),
        ("from a.b import c", ["a/__init__.py", "a/b/__init__.py", "a/b/c.py"]),
        ("from a.b import thing", ["a/__init__.py", "a/b/__init__.py"]),
        ("import space.inner as x", ["space/inner.py"]),
        ("from space import inner", ["space/inner.py"]),
        ("import lib", ["src/lib.py"]),
        ("import both", ["both.py"]),
        ("import numpy", ["numpy"]),
        ("import numpy.linalg, os.path, pytest, _pytest, pytest_hypersearch, nothing", []),
        ("from . import numpy", []),
        ("import installed", []),
        ("import mine", []),
        ("import os", []),
        ("import missing.module as x", []),
        ("from . import helper", ["tests/helper.py"]),
        ("from .helper import x", ["tests/helper.py"]),
        ("from .. import models", ["models.py"]),
        ("from ....... import x", []),
    ],
)
def test_imports_are_found_by_path(project, text, expected):
    files = [
        *("a/__init__.py", "a/b/__init__.py", "a/b/c.py", "a/unused.py", "space/inner.py"),
        *("src/lib.py", "src/both.py", "both.py", "tests/helper.py"),
        *(".venv/pyvenv.cfg", ".venv/lib/mine.py", "env/site-packages/installed.py"),
    ]
    project.write({"models.py": ""})
    roots = [".", ".venv/lib", "env/site-packages"]
    assert loaded(project, text, files, roots=roots) == expected


def test_the_packages_of_a_counted_file_count(project):
    project.write({"tests/__init__.py": "import models", "tests/sub/__init__.py": ""})
    project.write({"tests/sub/fixtures.py": "from ..other import x", "tests/other.py": ""})
    found = project.of("test_g", others=["tests/sub/fixtures.py"])
    assert {"tests/__init__.py", "models.py", "tests/sub/__init__.py", "tests/other.py"} <= set(
        found
    )


def test_fixtures_of_plugins_installed_within_the_project_do_not_matter(project):
    plugins = [".venv/lib/site-packages/plugin.py", "env/lib/mine.py"]
    project.write({"env/pyvenv.cfg": "", **dict.fromkeys(plugins, "import models\n")})
    assert project.of("test_g", others=plugins) == project.of("test_g")


def test_imports_in_functions_and_in_circles_are_followed(project):
    project.write({"models.py": "def build(x):\n    import layers\n"})
    project.write({"layers.py": "if 1:\n    from models import *\n    import tests.test_a\n"})
    assert {"models.py", "layers.py"} <= set(project.of())
    before = project.of()
    project.write({"tests/test_a.py": TEST.replace("assert unrelated()", "assert 1")})
    assert changed(before, project.of()) == ["tests/test_a.py"]


@pytest.mark.parametrize(
    "text",
    [
        "def f(:",
        b"\xff\xfe\x00",
        b"x = '\xff'",
        "x = 1\0",
        "(" * 500,
        "\ud800",
        "x = " + "9" * 5000,
    ],
)
def test_a_file_that_is_no_python_counts_byte_by_byte(project, text):
    project.write({"models.py": text})
    before = project.of()
    project.write({"models.py": text + (b" #" if isinstance(text, bytes) else " #")})
    assert changed(before, project.of()) == ["models.py"]
    project.write({"tests/test_a.py": text})
    assert set(project.of()) == {"tests/test_a.py", "python"}


def test_odd_python_is_no_trouble(project, recwarn):
    odd = [r"x = '\d'", "x = " + "+".join(["1"] * 900), "x = 0x" + "f" * 5000, "x = 1 is 1"]
    odd += ["if x: pass\n" + "elif x: pass\n" * 2000]
    odd += ["x = 1e999, -0.0, 1j, ..., None", "match x:\n  case {'a': None, **k}: pass"]
    for text in odd:
        project.write({"models.py": text})
        before = project.of()
        project.write({"models.py": text + "  # comment"})
        assert project.of() == before
        project.write({"models.py": text + "\ny = 1"})
        assert changed(before, project.of()) == ["models.py"]
    assert not recwarn.list


def test_files_that_it_depends_on_count_by_content(project):
    project.write({"data/x.csv": "1,2\n", "data/y.py": "# comment\n"})
    names = ["data/x.csv", "data/y.py", "data/missing.csv"]
    before = project.of(depends_on=names)
    assert set(names) <= set(before)
    project.write({"data/x.csv": "1, 2\n", "data/y.py": "#comment\n", "data/missing.csv": "1"})
    assert changed(before, project.of(depends_on=names)) == sorted(names)


def test_files_outside_the_roots_are_named_in_full(project, tmp_path):
    (tmp_path / "root").mkdir()
    found = project.of(roots=["root"], depends_on=["layers.py"])
    assert set(found) == {
        str(tmp_path / "tests" / "test_a.py"),
        str(tmp_path / "layers.py"),
        "python",
    }


def test_of_very_many_files_directories_are_told_together(project):
    files = {f"big/part{part}/m{n}.py": "" for part in range(3) for n in range(400)}
    project.write(files)
    imports = [f"import {name[:-3].replace('/', '.')}" for name in files]
    project.write({"models.py": "\n".join([*imports, "import layers"])})
    before = project.of()
    assert len(before) < 100
    assert {"big/part0", "models.py", "tests/test_a.py"} <= set(before)
    project.write({"big/part1/m7.py": "x = 1"})
    assert changed(before, project.of()) == ["big/part1"]


def test_a_thousand_tests_read_each_file_once(project, monkeypatch):
    lines = [f"def test_{n}(): return build({n})\n" for n in range(1000)]
    project.write({"tests/test_a.py": "from models import build\n" + "".join(lines)})
    parsed = []
    monkeypatch.setattr(
        ast, "parse", lambda content, parse=ast.parse: parsed.append(1) or parse(content)
    )
    fingerprints = Fingerprints([project.path])
    path = project.path / "tests" / "test_a.py"
    found = [fingerprints.of(path, f"test_{n}") for n in range(1000)]
    assert len({one["tests/test_a.py"] for one in found}) == 1000
    assert len({one["models.py"] for one in found}) == 1
    assert len(parsed) == 3


def test_importing_it_loads_nothing_heavy():
    code = """
        import sys, pytest_hypersearch.store.fingerprint
        print({"pytest", "filelock", "numpy", "scipy", "pandas"} & set(sys.modules))
    """
    answer = subprocess.run(
        [sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "set()\n"
