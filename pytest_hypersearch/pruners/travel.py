"""How a pruner gets from the process that collects tests to the one that owns their studies."""

from __future__ import annotations

import pickle
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_hypersearch.pruners import Pruner


class PrunerError(Exception):
    """A pruner cannot be used by the process that owns the studies; the message is one line."""


# A pickle is safe here: it stays between processes of one session, which run the same tests. No
# file ever holds one.
def pickled(pruner: Pruner) -> str:
    """The pruner as text.

    Raises:
        ValueError: It cannot be pickled.
    """
    try:
        return b64encode(pickle.dumps(pruner)).decode("ascii")
    except Exception as error:
        what = f"expected a pruner that can be pickled ({type(error).__name__}: {error})"
        raise ValueError(what) from error


def unpickled(text: str) -> Pruner:
    """The pruner in a text.

    Raises:
        PrunerError: Its class cannot be imported here.
    """
    try:
        found: Pruner = pickle.loads(b64decode(text))  # noqa: S301  see above
    except Exception as error:
        raise PrunerError(
            f"sweep(prune=...): {type(error).__name__}: {error}; expected a pruner that the "
            "controlling process can import, such as one in conftest.py or in an installed package"
        ) from error
    return found
