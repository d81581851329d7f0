"""What constructors take: their signatures, with settings that many share (``**training: Unpack[...]``) spelled out."""

import inspect
from collections.abc import Mapping
from functools import cache
from inspect import Parameter
from typing import Any, Unpack, get_args, get_origin, get_type_hints, is_typeddict


def parameters(target: Any) -> dict[str, Parameter]:
    """The parameters of a class's constructor or of a function, by name.

    Settings of a ``TypedDict`` that is unpacked are parameters like others: keyword only, and with the default that the
    base class has which takes them one by one, so that defaults too are said once; a class in between may have others,
    in its ``own_defaults``.
    """
    return dict(_parameters(target))


@cache
def _parameters(target: Any) -> Mapping[str, Parameter]:
    found: dict[str, Parameter] = {}
    for name, parameter in inspect.signature(target).parameters.items():
        shared = shared_settings(target, parameter)
        if shared is None:
            found[name] = parameter
            continue
        hints = get_type_hints(shared)
        for key in shared.__annotations__:
            default = Parameter.empty if key in shared.__required_keys__ else _default(target, key)
            found[key] = Parameter(key, Parameter.KEYWORD_ONLY, default=default, annotation=hints[key])
    return found


def needed(target: Any) -> list[str]:
    """Names of the parameters without a default."""
    kinds = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return [name for name, p in parameters(target).items() if p.default is Parameter.empty and p.kind in kinds]


def annotations(target: Any) -> dict[str, Any]:
    """The annotations of a class's constructor or a function, by parameter; empty where they cannot be resolved."""
    try:
        return dict(_annotations(target))
    except Exception:
        # e.g. names that exist for type checkers alone
        return {}


@cache
def _annotations(target: Any) -> Mapping[str, Any]:
    hints = get_type_hints(inspect.getattr_static(target, "__init__") if isinstance(target, type) else target)
    for name in [name for name, hint in hints.items() if _unpacked(hint) is not None]:
        hints |= get_type_hints(_unpacked(hints.pop(name)))
    return hints


def shared_settings(target: Any, parameter: Parameter) -> Any:
    """The ``TypedDict`` that a parameter ``**settings: Unpack[...]`` stands for; ``None`` for any other parameter."""
    if parameter.kind is not Parameter.VAR_KEYWORD:
        return None
    hint = parameter.annotation
    if isinstance(hint, str):
        function = inspect.getattr_static(target, "__init__") if isinstance(target, type) else target
        hint = get_type_hints(function)[parameter.name]
    return _unpacked(hint)


def _unpacked(hint: Any) -> Any:
    inner = get_args(hint)[0] if get_origin(hint) is Unpack else None
    return inner if is_typeddict(inner) else None


def _default(target: Any, key: str) -> Any:
    for cls in target.__mro__ if isinstance(target, type) else ():
        if key in (others := vars(cls).get("own_defaults", {})):
            return others[key]
        constructor = vars(cls).get("__init__")
        own = {} if constructor is None else inspect.signature(constructor).parameters
        if key in own:
            return own[key].default
    return None
