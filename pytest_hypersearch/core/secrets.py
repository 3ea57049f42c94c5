"""Secrets: which names are those of secrets, and how values and texts lose them.

Whatever is recorded or shown passes through here: `veiled` replaces secrets within a value, such as
an option of a search space, `masked` those that a text names itself, and `Secrets` also those that
are known from elsewhere, whatever the text calls them.

Names are compared word by word with fixed lists, as error trackers do (Sentry's denylist): tokens,
keys and passes are hyperparameters in machine learning.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from pytest_hypersearch.core.base import entries_of, is_base

MASK: Final = "***"

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

# The ends of words that mean nothing else, for PGPASSWORD and the like.
_ALWAYS: Final = ("apikey", "passphrase", "passwd", "password", "passwords")
_LAST: Final = frozenset(
    {"authorization", "credential", "credentials", "jwt", "pwd", "secret", "secrets"}
)
_ALONE: Final = frozenset({"auth", "oauth", "bearer"})
_COUNTS: Final = frozenset({"avg", "max", "mean", "min", "n", "num", "total"})
_PHRASES: Final = frozenset(
    [f"{kind}auth" for kind in ("basic", "http", "proxy")]
    + [f"{user}pass" for user in ("admin", "database", "db", "mysql", "postgres", "proxy", "root")]
    + [f"{user}pass" for user in ("redis", "smtp", "user")]
    + [
        f"{kind}key{plural}"
        for kind in (
            *("access", "account", "api", "auth", "client", "consumer", "decryption", "deploy"),
            *("encryption", "hmac", "jwt", "license", "master", "private", "rsa", "secret"),
            *("service", "signing", "ssh", "ssl", "subscription", "tls"),
            *("anthropic", "aws", "azure", "cohere", "comet", "gcp", "gemini", "github", "google"),
            *("groq", "hf", "huggingface", "kaggle", "mistral", "neptune", "openai", "openrouter"),
            *("replicate", "wandb"),
        )
        for plural in ("", "s")
    ]
    + ["accesskeyid"]
    + [
        f"{kind}token{plural}"
        for kind in ("access", "api", "auth", "bearer", "csrf", "oauth", "refresh", "session")
        for plural in ("", "s")
    ]
)
# What else a single token may be: of a vocabulary, or counted.
_VOCABULARY: Final = frozenset(
    {
        *("audio", "begin", "blank", "bos", "class", "cls", "end", "eos", "expected", "first"),
        *("image", "input", "invalid", "last", "mask", "missing", "new", "next", "output", "pad"),
        *("padding", "patch", "per", "prefix", "prompt", "query", "register", "sep", "separator"),
        *("special", "start", "stop", "suffix", "unexpected", "unk", "unknown", "video", "visual"),
        "word",
    }
)


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Tell whether a name is that of a secret: ``api_key``, ``hfToken``, ``--db-password``.

    The last words decide: ``max_tokens``, ``key_size``, ``pass_rate`` and ``tokenizer`` are none.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return False
    *before, last = words
    qualifier = before[-1] if before else ""
    if qualifier in _COUNTS:
        return False
    if last == "token":
        return qualifier not in _VOCABULARY
    return (
        last in _LAST
        or last.endswith(_ALWAYS)
        or any(
            "".join(words[start:]) in _PHRASES
            for start in range(max(0, len(words) - 3), len(words))
        )
        or "".join(_WORD.findall(name.rpartition(".")[2])).lower() in _ALONE
    )


# From "://" to the last "@" before the text goes on: passwords may hold "/" and "@".
_USERINFO: Final = re.compile(
    r"""(?<=://)(?:[^\s/@:"'<>\\]*:(?P<password>(?:(?!["'][,:;})\]\s]|://)\S)*)|[^\s/@"'<>\\]*)@"""
)
_BEARER: Final = re.compile(r"(?i)(?<=\bbearer )[ \t]*(?=\S*\d)[\w.~+/=-]{8,}")
_NAMED: Final = re.compile(
    r"""(?<![\w.-])(?:
        (?P<option>--?[\w.-]++)[ ]+(?!-)
        |(?P<name>[\w.-]++)\\*["']?\]?[ \t]*(?::?={1,3}>?|!=|(?<!:):(?!:))[ \t]*
    )""",
    re.VERBOSE,
)
_QUOTE: Final = re.compile(r"""[bBrRuUfF]{0,2}(\\*(?:\"{3}|'{3}|["']))""")
_SCHEME: Final = re.compile(r"(?i)(?:(?:basic|bearer|token)[ \t]+)?")
_INSIDE: Final = {mark: re.compile(rf"(?:\\.|[^\\\n{mark}])*") for mark in "\"'"}
_CLOSING: Final = {"[": "]", "(": ")", "{": "}"}
_BARE: Final = re.compile(r"""(?:(?!,\s*["'])[^\s&\]])*[^\s&\]"',;)}]""")
# Nothing to mask: no secret, or masked already.
_NOTHING: Final = re.compile(r"(?i)(?:none|null|true|false|\*\*\*)$|secret-\d+(?!\w)")


def masked(text: str, mask: str = MASK) -> str:
    """Return a text with a mask for the values of named secrets and for credentials in URLs."""
    text = _BEARER.sub(mask, _USERINFO.sub(f"{mask}@", text))
    parts, done, at = [], 0, 0
    while match := _NAMED.search(text, at):
        at = match.end()
        if is_secret(match["option"] or match["name"]):
            start, end = _value_at(text, at)
            if start < end and not _NOTHING.match(text[start:end]):
                parts += [text[done:start], mask]
                done = at = end
    return "".join([*parts, text[done:]])


def _value_at(text: str, at: int) -> tuple[int, int]:
    """Return where the value that begins here has its text, without quotes and scheme."""
    opening = _QUOTE.match(text, at)
    start = _SCHEME.match(text, opening.end() if opening else at).end()  # type: ignore[union-attr]
    if opening is None:
        bare = None if text[start : start + 1] in _CLOSING else _BARE.match(text, start)
        return start, bare.end() if bare else _bracket_end(text, start)
    if inside := _INSIDE.get(opening[1]):
        return start, inside.match(text, start).end()  # type: ignore[union-attr]
    closing = text.find(opening[1], start)
    return start, closing if closing >= 0 else len(text)


def _bracket_end(text: str, start: int) -> int:
    """Return where the list or dict that begins here ends, at the latest with its line."""
    open_ones: list[str] = []
    for at in range(start, len(text)):
        if text[at] in _CLOSING:
            open_ones.append(_CLOSING[text[at]])
        elif text[at] == "\n" or not open_ones:
            return at
        elif text[at] == open_ones[-1]:
            open_ones.pop()
            if not open_ones:
                return at + 1
    return len(text)


def masked_command(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return a command line without the values of secrets.

    Masked are ``--api-key=value``, ``--api-key value``, and in any argument what `masked` masks.
    """
    secrets, shown, value_follows = Secrets(), [], False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        option = name.startswith("-") and is_secret(name)
        if option and equals:
            shown.append(f"{name}={MASK}")
        elif value_follows and not argument.startswith("-"):
            shown.append(MASK)
        else:
            shown.append(secrets.masked(argument))
        value_follows = option and not equals
    return tuple(shown)


def veiled(value: Any, mask: str = MASK, *, secret: bool = False) -> Any:  # noqa: ANN401  JSON-like values
    """Return a value with a mask for the secrets in it, at any depth of dicts and lists.

    Args:
        value: What JSON can write; None, True and False are never secret.
        mask: What replaces a secret.
        secret: Whether the value is one itself, by the name that it goes by.
    """
    if isinstance(value, Mapping):
        return {
            name: veiled(entry, mask, secret=secret or is_secret(str(name)))
            for name, entry in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [veiled(entry, mask, secret=secret) for entry in value]
    if value is None or isinstance(value, bool):
        return value
    if secret:
        return mask
    return masked(value, mask) if isinstance(value, str) else value


_DEEPEST: Final = 20
_CUT: Final = "..."
_SHORT: Final = 8  # shorter ones may be parts of words


def secrets_in(value: object, *, secret: bool = False, depth: int = 0) -> Iterator[str]:
    """Yield the texts in a value that are secrets, by their names or as passwords in URLs.

    Args:
        value: Anything; lists, sets and configurations of any kind are looked through.
        secret: Whether the value is one itself, by the name that it goes by.
        depth: How deep in another value it is: values may hold themselves.
    """
    if isinstance(value, str):
        yield from (
            [value] if secret else filter(None, (m["password"] for m in _USERINFO.finditer(value)))
        )
    elif isinstance(value, bytes):
        yield from [value.decode("utf-8", "backslashreplace")] if secret else []
    elif callable(opened := getattr(value, "get_secret_value", None)):  # of pydantic
        yield from secrets_in(opened(), secret=True, depth=depth + 1)
    elif depth < _DEEPEST:
        for name, entry in _parts(value):
            yield from secrets_in(entry, secret=secret or is_secret(name), depth=depth + 1)


def _parts(value: object) -> Iterable[tuple[str, object]]:
    if is_base(value):
        return entries_of(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [("", entry) for entry in value]
    return ()


def _of_environment() -> Iterator[str]:
    """Yield the values of variables that are named like secrets; PWD is a directory."""
    for name in os.environ:
        if name != "PWD" and is_secret(name) and len(value := os.environ.get(name, "")) >= _SHORT:
            yield value


class Secrets:
    """Texts that are known to be secret, those of the environment included."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        forms = {form for text in {*texts, *_of_environment()} for form in _forms(text)}
        self._known = sorted(forms, key=lambda text: (-len(text), text))
        self._pattern = re.compile("|".join(map(_pattern_of, self._known))) if forms else None

    def known_masked(self, text: str) -> str:
        """Return a text with a mask for those that are known, whatever it calls them."""
        if self._pattern is None:
            return text
        text = self._pattern.sub(MASK, text)
        return self._cut_masked(text) if _CUT in text else text

    def _cut_masked(self, text: str) -> str:
        """Return a text with a mask for what is left of those that a message has cut."""
        for forms in self._known:
            for length in range(len(forms) - 1, 2, -1):
                text = text.replace(forms[:length] + _CUT, MASK + _CUT)
        return text

    def masked(self, text: str) -> str:
        """Return a text with a mask for those that are known and those that it names."""
        return masked(self.known_masked(text)) if text else ""


def _forms(text: str) -> set[str]:
    """A text as it is, in quotes of Python and JSON, and in a URL, and its longer lines.

    Nothing if it is blank.
    """
    if not text.strip():
        return set()
    url = quote(text, safe="", errors="backslashreplace")
    lines = [line for line in text.split("\n") if len(line) >= 2 * _SHORT]
    return {text, repr(text)[1:-1], json.dumps(text)[1:-1], url, *lines}


def _pattern_of(text: str) -> str:
    pattern = re.escape(text)
    return pattern if len(text) >= _SHORT else rf"(?<!\w){pattern}(?!\w)"
