import pytest

from pytest_hypersearch.masking import is_secret, masked, masked_command


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
    "name", ["lr", "tokenizer", "monkey", "author", "keyboard", "-k", "hidden_size", "secretary"]
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


def test_a_text_without_secrets_stays():
    text = "pytest -n 4 --lr=0.1 https://host/path C:\\x a::b"
    assert masked(text) == text
