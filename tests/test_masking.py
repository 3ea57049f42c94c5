import pytest

from pytest_hypersearch.core.secrets import is_secret, masked, masked_command


@pytest.mark.parametrize(
    "name",
    [
        *("key", "api_key", "apikey", "--hf-token", "accessToken", "AWS_SECRET_ACCESS_KEY", "pwd"),
        *("db.password", "credentials", "auth", "training.api_key", "PASSWORD2", "oauth"),
    ],
)
def test_these_names_are_secrets(name):
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "lr",
        "tokenizer",
        "monkey",
        "author",
        "keyboard",
        "-k",
        "hidden_size",
        "secretary",
        "KeyError",
    ],
)
def test_these_names_are_none(name):
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--api-key=a,b c"], ["--api-key=***"]),
        (["--token", "abc", "tests"], ["--token", "***", "tests"]),
        (["--auth", "-x"], ["--auth", "-x"]),
        (["-o", "auth_token=abc"], ["-o", "auth_token=***"]),
        (["-k", "api_key and not slow"], ["-k", "api_key and not slow"]),
        (
            ["--url=https://me:pa:ss@host/x?token=abc&n=1"],
            ["--url=https://***@host/x?token=***&n=1"],
        ),
        (["--opt=password=abc"], ["--opt=password=***"]),
        (["test_a.py::test_f[api_key:sk-1-lr:2]"], ["test_a.py::test_f[api_key:***]"]),
        (["test_key.py::test_token"], ["test_key.py::test_token"]),
        (
            ['--headers={"Authorization": "Bearer abc"}'],
            ['--headers={"Authorization": "Bearer ***"}'],
        ),
        (["SECRET=a TOKEN=b lr=3"], ["SECRET=*** TOKEN=*** lr=3"]),
    ],
)
def test_command_lines_lose_the_values_of_secrets_alone(given, shown):
    assert masked_command(given) == tuple(shown)


@pytest.mark.parametrize(
    "text", ["pytest -n 4 --lr=0.1 https://host/path C:\\x a::b", "KeyError: 'lr'"]
)
def test_a_text_without_secrets_stays(text):
    assert masked(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password='a b', lr=1", "password='***', lr=1"),
        ('{"token": "it\'s", "x": 3}', '{"token": "***", "x": 3}'),
        ("secret='cut off\nlr", "secret='***\nlr"),
    ],
)
def test_quoted_secrets_end_with_their_quotes(text, shown):
    assert masked(text) == shown


def test_long_texts_and_many_secrets_are_masked_in_time_that_grows_with_them():
    assert masked("x" * 200_000 + " key=1" * 3000).endswith(" key=***" * 3000)
