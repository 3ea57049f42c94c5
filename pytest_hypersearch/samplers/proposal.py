"""Asking a sampler, which may be a plugin's: a configuration of the space, or one clear error."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from pytest_hypersearch.given import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_hypersearch.marks import Sweep
    from pytest_hypersearch.samplers import Observation, Sampler
    from pytest_hypersearch.trial import Config


class SamplerError(Exception):
    """A sampler failed, or proposed what the space does not have; the message is one line."""


def propose(
    sampler: Sampler, sweep: Sweep, *, index: int, history: Sequence[Observation] = ()
) -> Config | None:
    """Return the sampler's configuration with this index, None if the space is used up.

    Raises:
        SamplerError: There is none to return.
    """
    who = f"the sampler of strategy {sweep.strategy!r}"
    try:
        config = sampler.suggest(sweep.space, seed=sweep.seed, index=index, history=history)
        fits = config is None or sweep.space.contains(config)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.filename}:{frame.lineno}"
        raise SamplerError(f"{who} raised {type(error).__name__}: {error} ({where})") from error
    if not fits:
        raise SamplerError(f"{who} proposed {shown(config)}; expected what is in the search space")
    return config
