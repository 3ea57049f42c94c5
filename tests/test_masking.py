"""The rule of what is a secret: names, values, and texts that quote them."""

from dataclasses import dataclass

import pytest

from pytest_hypersearch.core.secrets import (
    Secrets,
    is_secret,
    masked,
    masked_command,
    secrets_in,
    veiled,
)


@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "apikey", "hf_token", "HF_TOKEN", "hfToken", "private_key", "client_secret"),
        *("secret_access_key", "AWS_SECRET_ACCESS_KEY", "aws_access_key_id", "authorization"),
        *("db_password", "db_pwd", "db_pass", "PGPASSWORD", "PASSWORD2", "passwd", "passphrase"),
        *("token", "access_token", "refresh_token", "github-token", "--hf-token", "accessToken"),
        *("wandb_api_key", "OPENAI_API_KEY", "openai_key", "X-API-Key", "apiKeys", "ssh_key"),
        *("credentials", "auth", "basic_auth", "oauth", "secret", "db.password", "jwt"),
        "training.api_key",
    ],
)
def test_these_names_are_secrets(name):
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("max_tokens", "num_tokens", "n_tokens", "max_token", "tokens", "tokens_per_second"),
        *("token_count", "tokenizer", "tokenizer_name", "pad_token", "eosToken", "cls_token"),
        *("loss_per_token", "special_token", "key", "keys", "n_keys", "key_dim", "key_size"),
        *("num_key_value_heads", "sort_key", "prng_key", "monitor_key", "pass_rate", "pass"),
        *("forward_pass", "auth_loss", "author", "secretary", "password_strength", "api_key_count"),
        *("monkey", "keyboard", "compass", "hidden_size", "-k", "KeyError", "InvalidToken", "lr"),
        "",
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
        (r"password='it\'s', lr=1", "password='***', lr=1"),
        (r"{\"password\": \"a b\", \"x\": 1}", r"{\"password\": \"***\", \"x\": 1}"),
        ("{'password': b'abc', 'x': 1}", "{'password': b'***', 'x': 1}"),
        ('password = """a\nb""" + x', 'password = """***""" + x'),
    ],
)
def test_quoted_secrets_end_with_their_quotes(text, shown):
    assert masked(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("db_password=abc&n=1 password: x", "db_password=***&n=1 password: ***"),
        ('{"password":12345,"lr":0.1}', '{"password":***,"lr":0.1}'),
        ("token=a'b\"c, lr", "token=***, lr"),
        ("assert token == 'abc'", "assert token == '***'"),
        ("if (token := abc)", "if (token := ***)"),
        ("os.environ['API_KEY'] = 'abc'", "os.environ['API_KEY'] = '***'"),
        ("train --api-key abc --lr 3", "train --api-key *** --lr 3"),
        ("Authorization: Bearer abc", "Authorization: Bearer ***"),
        ("sent Bearer eyJhbGciOi1.abc-d", "sent Bearer ***"),
        ("max_tokens=5 pass_rate: 0.3 key=7", "max_tokens=5 pass_rate: 0.3 key=7"),
        ("passwords=['a', ['b']], x", "passwords=***, x"),
        ('{"tokens": [1], "auth": {"user": "a", "pw": ["b"]}}', '{"tokens": [1], "auth": ***}'),
        ("credentials=(\"a\", 'b'\nx)", "credentials=***\nx)"),
        ("api_key=None use_auth=True", "api_key=None use_auth=True"),
        ("test_f[api_key:secret-0-lr:1]", "test_f[api_key:secret-0-lr:1]"),
    ],
)
def test_values_of_named_secrets_are_masked(text, shown):
    assert masked(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:pw@host/x", "https://***@host/x"),
        ("https://token@host https://host", "https://***@host https://host"),
        ("postgres://u:SE/CR@h/db", "postgres://***@h/db"),
        ("redis://:p@ss@h:1/0, redis://:q@h", "redis://***@h:1/0, redis://***@h"),
        ('{"a":"s3://u:p@h","mail":"me@h"}', '{"a":"s3://***@h","mail":"me@h"}'),
        ("git+https://host/o/r@v1", "git+https://host/o/r@v1"),
        ("me@host.org http://h:80/x", "me@host.org http://h:80/x"),
    ],
)
def test_credentials_in_urls_are_masked(text, shown):
    assert masked(text) == shown


def test_long_texts_and_many_secrets_are_masked_in_time_that_grows_with_them():
    assert masked("x" * 200_000 + " token=1" * 3000).endswith(" token=***" * 3000)
    assert masked("https://u:" * 20_000) == "https://u:" * 20_000
    assert masked("https://" + "u:" * 100_000) == "https://" + "u:" * 100_000


def test_secrets_within_values_are_veiled():
    value = {
        "user": "u",
        "password": "x",
        "auth": None,
        "hosts": [{"url": "https://u:pw@h", "api_keys": ["a", 5], "max_tokens": 3}],
    }
    assert veiled(value, "secret-0") == {
        "user": "u",
        "password": "secret-0",
        "auth": None,
        "hosts": [
            {"url": "https://secret-0@h", "api_keys": ["secret-0", "secret-0"], "max_tokens": 3}
        ],
    }


@dataclass
class Login:
    user: str
    password: str


def test_secrets_are_found_at_any_depth():
    round_and_round = {"token": "one"}
    round_and_round["self"] = round_and_round
    value = [round_and_round, Login("u", "two"), {"url": "https://u:three@h"}, {"tokens": "no"}]
    assert set(secrets_in(value)) == {"one", "two", "three"}


@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        ("s3cr3t-A", "using s3cr3t-A, as xs3cr3t-Ay", "using ***, as x***y"),
        ("abc", "abc is in abcdef", "*** is in abcdef"),
        ('it\'s "it"', "given 'it\\'s \"it\"'", "given '***'"),
        ("a/b c:d-ef", "https://h/?q=a%2Fb%20c%3Ad-ef", "https://h/?q=***"),
        ("", "nothing", "nothing"),
        ("s3cr3t-A", "given 's3cr3... and so", "given '***... and so"),
        ("first line of a key\nsecond line of it", "E  second line of it", "E  ***"),
    ],
)
def test_known_secrets_are_masked_whatever_a_text_calls_them(secret, text, shown):
    assert Secrets([secret]).masked(text) == shown


def test_a_longer_secret_is_masked_before_one_that_it_begins_with():
    assert Secrets(["long-secret", "long-secret-b"]).masked("is long-secret-b") == "is ***"


def test_secrets_of_the_environment_are_known(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "of-the-environment")
    monkeypatch.setenv("PWD", "/home/somebody")
    text = Secrets().masked("login of-the-environment in /home/somebody")
    assert text == "login *** in /home/somebody"
