"""Nested configurations that parameters patch: dicts, dataclasses, pydantic models and OmegaConf.

pydantic and OmegaConf are not imported here unless an object of theirs shows that they are.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str, ...]


def is_base(value: object) -> bool:
    """Tell whether a value is a configuration that can be patched; a class is none."""
    return not isinstance(value, type) and (
        isinstance(value, Mapping) or is_dataclass(value) or _is_model(value)
    )


def has(base: object, path: Path) -> bool:
    """Tell whether a configuration has a value at a path, be it one that is still to be set."""
    if path[0] not in names_of(base):
        return False
    return len(path) == 1 or has(part_of(base, path[0]), path[1:])


def names_of(base: Any) -> Collection[str]:  # noqa: ANN401  a configuration, or anything else
    """Return the names at the top of a configuration, none of anything else."""
    if isinstance(base, Mapping):
        return [str(name) for name in base]
    if _is_model(base):
        return {**type(base).model_fields, **(base.model_extra or {})}
    if is_dataclass(base):
        return [each.name for each in fields(base) if each.init]
    return ()


def part_of(base: Any, name: str) -> Any:  # noqa: ANN401  a configuration, any value
    """Return what a configuration has under a name; None for a value that is still to be set."""
    if isinstance(base, Mapping):
        return base.get(name)
    return getattr(base, name, None)


def is_open(base: object) -> bool:
    """Tell whether a configuration takes names that it does not have."""
    return isinstance(base, Mapping) and not _is_omegaconf(base)


def config_of(base: Any, params: Mapping[str, object]) -> Any:  # noqa: ANN401  of the same kind
    """Return a copy of a configuration with the values of parameters, whose names may be dotted.

    Parameters that it has no place for are left out.

    Raises:
        Exception: What the class of a part raises about a value.
    """
    __tracebackhide__ = True
    changes = {tuple(name.split(".")): value for name, value in params.items()}
    return patched(base, {p: changes[p] for p in changes if is_open(base) or has(base, p)})


def patched(base: Any, changes: Mapping[Path, object]) -> Any:  # noqa: ANN401  of the same kind
    """Return a copy of a configuration with other values at some paths, which it has.

    A dataclass is made anew, and a pydantic model is validated anew.

    Raises:
        Exception: What the class of a part raises about a value.
    """
    __tracebackhide__ = True
    if _is_omegaconf(base):
        return _updated(base, changes)
    parts: dict[str, dict[Path, object]] = {}
    for (name, *rest), value in changes.items():
        parts.setdefault(name, {})[tuple(rest)] = value
    new: dict[str, object] = {}
    for name, inner in parts.items():
        whole = () in inner
        new[name] = inner[()] if whole else patched(part_of(base, name) or {}, inner)
    if _is_model(base):
        return type(base).model_validate({**_validated(base), **_by_alias(base, new)})
    if is_dataclass(base):
        return replace(copy.deepcopy(base), **new)  # type: ignore[type-var]
    return {**copy.deepcopy(dict(base)), **new}


def _updated(base: Any, changes: Mapping[Path, object]) -> Any:  # noqa: ANN401  a DictConfig
    __tracebackhide__ = True
    from omegaconf import OmegaConf

    new = copy.deepcopy(base)
    OmegaConf.set_readonly(new, None)
    for path, value in changes.items():
        OmegaConf.update(new, ".".join(path), value, merge=False)
    OmegaConf.set_readonly(new, OmegaConf.is_readonly(base) or None)
    return new


def _validated(model: Any) -> dict[str, object]:  # noqa: ANN401  a pydantic model
    """The values that a model was given, for a model that is to be made of them."""
    given = {name: getattr(model, name) for name in model.model_fields_set}
    return copy.deepcopy(_by_alias(model, {**given, **(model.model_extra or {})}))


def _by_alias(model: Any, values: Mapping[str, object]) -> dict[str, object]:  # noqa: ANN401
    fields = type(model).model_fields
    aliases = {name: getattr(fields.get(name), "validation_alias", None) for name in values}
    return {
        alias if isinstance(alias, str) else name: values[name] for name, alias in aliases.items()
    }


def _is_model(value: object) -> bool:
    return hasattr(type(value), "model_validate") and hasattr(type(value), "model_fields")


def _is_omegaconf(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "omegaconf"


def entries_of(base: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401  a configuration
    """Yield what is at the top of a configuration, values of OmegaConf as they are written."""
    if _is_omegaconf(base):
        from omegaconf import OmegaConf

        base = OmegaConf.to_container(base, resolve=False)
    unset = [each.name for each in fields(base) if not each.init] if is_dataclass(base) else []
    for name in (*names_of(base), *unset):
        yield name, part_of(base, name)
