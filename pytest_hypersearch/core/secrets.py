"""Secrets: which names stand for one, and texts without their values."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence


MASK: Final = "***"

_WORDS: Final = frozenset({"auth", "authorization", "key", "keys", "oauth", "pass", "pwd"})
_ENDINGS: Final = (
    "accesskey",
    "apikey",
    "credential",
    "credentials",
    "passphrase",
    "passwd",
    "password",
    "passwords",
    "privatekey",
    "secret",
    "secrets",
    "token",
    "tokens",
)
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_USERINFO: Final = re.compile(r"(?<=://)[^/\s]*@")

# A name and what may stand before its value: quotes, "=" or a single colon, an HTTP scheme.
_NAMED: Final = re.compile(
    r"""(?<![\w.-])(?P<name>[\w.-]++)["']?\s*(?:=|(?<!:):(?!:))\s*["']?(?:(?:basic|bearer|token)\s+)?""",
    re.IGNORECASE,
)
_VALUE: Final = re.compile(r"""(?:(?<=")[^"\n]+|(?<=')[^'\n]+|[^\s&\]"']+)""")

# KeyError tells of no key of anybody's.
_ERRORS: Final = ("error", "exception", "warning")


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Tell whether a name is that of a secret: ``api_key``, ``hfToken``, ``--db-password``.

    Words count as a whole: ``tokenizer`` and ``monkey`` are none.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if words and words[-1] in _ERRORS:
        return False
    return any(word in _WORDS or word.endswith(_ENDINGS) for word in words)


def masked(text: str) -> str:
    """Return a text with ``***`` for the values of named secrets and for credentials in URLs."""
    text = _USERINFO.sub(f"{MASK}@", text)
    parts, at = [], 0
    for found in _NAMED.finditer(text):
        if found.start() < at or not is_secret(found["name"]):
            continue
        if value := _VALUE.match(text, found.end()):
            parts += [text[at : found.end()], MASK]
            at = value.end()
    return "".join([*parts, text[at:]])


def masked_command(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return a command line without the values of secrets.

    Masked are ``--api-key=value``, ``--api-key value``, ``name=value`` and ``name:value`` anywhere
    in an argument, and ``user:password@`` in URLs.
    """
    shown, value_follows = [], False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        option = name.startswith("-") and is_secret(name)
        if option and equals:
            shown.append(f"{name}={MASK}")
        elif value_follows and not argument.startswith("-"):
            shown.append(MASK)
        else:
            shown.append(masked(argument))
        value_follows = option and not equals
    return tuple(shown)
