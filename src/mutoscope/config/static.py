"""Configs against the source of what they build, read and not imported: a mistyped setting is told within a second.

Importing a model brings torch and Lightning, which takes many times as long. Only this package's own classes are read;
what cannot be told from the source is left to :mod:`mutoscope.config.nodes`, which imports and checks everything.
"""

import ast
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, make_dataclass
from functools import lru_cache, reduce
from inspect import Parameter
from operator import or_
from pathlib import Path
from typing import Any, Literal

from mutoscope.config.names import check_known
from mutoscope.config.nodes import LATE
from mutoscope.config.roles import role_of
from mutoscope.config.values import MisfitError, fit
from mutoscope.data.registry import names_without_import, plugins, source_of
from mutoscope.runtime.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]
#: modules whose names annotations are made of; they are imported anyway
_OF_ANNOTATIONS = ("typing", "collections.abc", "pathlib")
_BUILTIN = {"int": int, "float": float, "bool": bool, "str": str, "list": list, "tuple": tuple, "dict": dict}
_DIRECTIVES = ("_target_", "_partial_")


class _UnreadableError(Exception):
    """What is asked for cannot be told from the source."""


@dataclass(frozen=True)
class _Source:
    """A module of this package.

    Args:
        defined: its classes, functions and constants, by name.
        imported: dotted names of what it imports from modules, by the names there.
    """

    defined: Mapping[str, ast.AST]
    imported: Mapping[str, str]


def check_statically(config: Mapping[str, Any]) -> None:
    """Check values and names of settings as far as sources tell, in the words of the full check.

    Args:
        config: resolved.

    Raises:
        ConfigError: for a value of another kind than a constructor asks for, a setting that it does not have, or one
            without a default that a dataset lacks.
    """
    nodes = [(node, where, *known) for node, where in _nodes(config, "") if (known := _known(node, where)) is not None]
    for node, where, _, parameters in nodes:
        _check_values(node, where, parameters)
    for node, where, name, parameters in nodes:
        _check_names(node, where, name, parameters)


def check_pair_statically(model: Mapping[str, Any], dataset: Mapping[str, Any]) -> None:
    """Whether a model can train on a dataset, as far as sources tell.

    Raises:
        ConfigError: see :func:`mismatch`.
    """
    try:
        kinds = {name: _kind_of(name) for name in names_without_import()}
        yields, takes = kinds[str(dataset.get("name"))], class_value(str(model.get("_target_")), "takes")
    except LookupError:
        return
    if takes != yields and not plugins():
        raise mismatch(str(model["_target_"]), takes, str(dataset["name"]), kinds)


def mismatch(model: str, takes: str, dataset: str, kinds: Mapping[str, str]) -> ConfigError:
    """What is said of a model and a dataset of another kind.

    Args:
        model: its class, dotted.
        takes: its kind of data.
        dataset: its name.
        kinds: of all datasets, by name.
    """
    fitting = ", ".join(name for name, kind in kinds.items() if kind == takes)
    return ConfigError(
        f"{model.rpartition('.')[2]} takes {takes} data, but dataset '{dataset}' yields {kinds[dataset]}; datasets "
        f"that fit: {fitting or 'none yet'}."
    )


def _kind_of(dataset: str) -> str:
    found = source_of(dataset)
    if found is None:
        raise LookupError(f"Dataset '{dataset}' is none of this package.")
    return str(class_value(_dotted(*found), "kind"))


def class_value(target: str, name: str) -> Any:
    """The plain value that a class of this package, or the nearest of its bases, gives a name in its body.

    Raises:
        LookupError: if the source does not tell.
    """
    try:
        return _class_value(*_found(target), name)
    except (_UnreadableError, OSError, SyntaxError) as error:
        raise LookupError(f"The source does not tell what {name} is for {target}.") from error


def _class_value(source: _Source, node: ast.AST, name: str) -> Any:
    if not isinstance(node, ast.ClassDef):
        raise _UnreadableError
    for statement in node.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = getattr(statement, "value", None)
            if isinstance(value, ast.Constant):
                return value.value
            # said, but not given
            break
    for base in node.bases:
        try:
            return _class_value(*_named(source, base), name)
        except _UnreadableError:
            continue
    raise _UnreadableError


def parameters_of(target: str) -> dict[str, Parameter]:
    """The parameters of a class of this package, or of a function, by name; annotations that are not told are ``Any``.

    Fields of a ``TypedDict`` behind ``**settings: Unpack[...]`` are parameters like others, fields of a dataclass are
    those of its constructor.

    Args:
        target: dotted, e.g. ``mutoscope.models.kinetic_gan.module.KineticGAN``.

    Raises:
        LookupError: if the source does not tell.
    """
    try:
        source, node = _found(target)
        return _parameters(source, node)
    except (_UnreadableError, OSError, SyntaxError) as error:
        raise LookupError(f"The source does not tell the parameters of {target}.") from error


def _nodes(node: Any, where: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    if isinstance(node, Mapping):
        if "_target_" in node or (where == "dataset" and node.get("name")):
            yield node, where
        for key, value in node.items():
            yield from _nodes(value, f"{where}.{key}" if where else str(key))
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _nodes(value, f"{where}[{i}]")


def _known(node: Mapping[str, Any], where: str) -> tuple[str, dict[str, Parameter]] | None:
    """Name and parameters of what a node builds; ``None`` where sources do not tell."""
    target = node.get("_target_")
    if target is None:
        found = source_of(str(node["name"]))
        if found is None:
            return None
        target = _dotted(*found)
    if not isinstance(target, str) or not target.startswith("mutoscope."):
        return None
    try:
        return target.rpartition(".")[2], parameters_of(target)
    except LookupError:
        return None


def _dotted(path: Path, name: str) -> str:
    return ".".join(("mutoscope", *path.relative_to(_PACKAGE).with_suffix("").parts, name))


def _check_values(node: Mapping[str, Any], where: str, parameters: Mapping[str, Parameter]) -> None:
    try:
        for key, value in node.items():
            if key in parameters:
                fit(value, parameters[key].annotation, f"{where}.{key}")
    except MisfitError as error:
        raise ConfigError(str(error)) from error


def _check_names(node: Mapping[str, Any], where: str, name: str, parameters: Mapping[str, Parameter]) -> None:
    if "_target_" in node:
        role = role_of(where)
        late = {*LATE, role.first} if role is not None else set(LATE)
        if isinstance(node.get("recognizer"), Mapping):
            late.remove("recognizer")
        keys, offered = [k for k in node if k not in _DIRECTIVES], [p for p in parameters if p not in late]
    else:
        keys, offered = [k for k in node if k != "name"], list(parameters)
    check_known(keys, offered, where, f"a setting of {name}")
    needed = [key for key, p in parameters.items() if p.default is Parameter.empty and node.get(key) is None]
    if "_target_" not in node and needed:
        raise ConfigError(f"dataset={node['name']} needs dataset.{needed[0]}=<value>; it has no default.")


# --- sources ----------------------------------------------------------------------------------------------------------


@lru_cache
def _read(module: str) -> _Source:
    top, *parts = module.split(".")
    if top != "mutoscope":
        raise _UnreadableError
    base = _PACKAGE.joinpath(*parts)
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    defined: dict[str, ast.AST] = {}
    imported: dict[str, str] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            defined[node.name] = node
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            defined[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            defined[node.target.id] = node.value
    return _Source(defined, imported)


def _found(full: str) -> tuple[_Source, ast.AST]:
    """What a dotted name stands for, followed through modules that import it."""
    module, _, name = full.rpartition(".")
    source = _read(module)
    if name in source.defined:
        return source, source.defined[name]
    if name in source.imported:
        return _found(source.imported[name])
    raise _UnreadableError


def _named(source: _Source, node: ast.expr) -> tuple[_Source, ast.AST]:
    if isinstance(node, ast.Subscript):
        # a generic class with its arguments
        node = node.value
    if not isinstance(node, ast.Name):
        raise _UnreadableError
    if node.id in source.defined:
        return source, source.defined[node.id]
    if node.id in source.imported:
        return _found(source.imported[node.id])
    raise _UnreadableError


def _parameters(source: _Source, node: ast.AST) -> dict[str, Parameter]:
    if isinstance(node, ast.FunctionDef):
        return _arguments(source, node.args)
    if not isinstance(node, ast.ClassDef):
        raise _UnreadableError
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            found = _arguments(source, statement.args)
            # the object itself
            return dict(list(found.items())[1:])
    if _is_dataclass(node):
        return _fields(source, node, total=True)
    for base in node.bases:
        return _parameters(*_named(source, base))
    raise _UnreadableError


def _arguments(source: _Source, arguments: ast.arguments) -> dict[str, Parameter]:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(positional, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    found = {a.arg: _parameter(source, a.arg, a.annotation, default is not None) for a, default in pairs}
    if arguments.kwarg is not None:
        unpacked = arguments.kwarg.annotation
        if not (isinstance(unpacked, ast.Subscript) and _last(unpacked.value) == "Unpack"):
            # takes anything
            raise _UnreadableError
        settings, shared = _named(source, unpacked.slice)
        if not isinstance(shared, ast.ClassDef):
            raise _UnreadableError
        found |= _fields(settings, shared, total=False)
    return found


def _fields(source: _Source, node: ast.ClassDef, total: bool) -> dict[str, Parameter]:
    """Fields of a dataclass (``total``) or a ``TypedDict``, those of its bases first."""
    found: dict[str, Parameter] = {}
    for base in node.bases:
        if _last(base) not in ("TypedDict", "Generic", "Protocol"):
            theirs, inherited = _named(source, base)
            if not isinstance(inherited, ast.ClassDef):
                raise _UnreadableError
            found |= _fields(theirs, inherited, total)
    given = next((k.value for k in node.keywords if k.arg == "total"), None)
    optional = not total and isinstance(given, ast.Constant) and given.value is False
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        annotation, has_default = statement.annotation, optional or statement.value is not None
        outer = _last(annotation.value) if isinstance(annotation, ast.Subscript) else None
        if outer == "ClassVar":
            continue
        if isinstance(annotation, ast.Subscript) and outer in ("Required", "NotRequired"):
            annotation, has_default = annotation.slice, outer == "NotRequired"
        found[statement.target.id] = _parameter(source, statement.target.id, annotation, has_default)
    return found


def _parameter(source: _Source, name: str, annotation: ast.expr | None, has_default: bool) -> Parameter:
    kind = Any if annotation is None else _annotation(source, annotation)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=None if has_default else Parameter.empty, annotation=kind)


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any(_last(d.func if isinstance(d, ast.Call) else d) == "dataclass" for d in node.decorator_list)


def _last(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else None


# --- annotations ------------------------------------------------------------------------------------------------------


def _annotation(source: _Source, node: ast.expr) -> Any:
    """The type that an annotation means; ``Any`` for what is not made of plain types."""
    try:
        return _type(source, node)
    except (_UnreadableError, TypeError, ValueError, OSError, SyntaxError):
        return Any


def _type(source: _Source, node: ast.AST) -> Any:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return _type(source, ast.parse(node.value, mode="eval").body)
        return node.value
    if isinstance(node, ast.Name):
        return _named_type(source, node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [_type(source, node.left), _type(source, node.right)]
        return Any if Any in sides else reduce(or_, sides)
    if isinstance(node, ast.Subscript):
        return _subscripted(source, node)
    raise _UnreadableError


def _named_type(source: _Source, node: ast.Name) -> Any:
    if node.id in source.imported:
        module, _, name = source.imported[node.id].rpartition(".")
        if module in _OF_ANNOTATIONS:
            return getattr(importlib.import_module(module), name)
    elif node.id in _BUILTIN:
        return _BUILTIN[node.id]
    where, found = _named(source, node)
    if isinstance(found, ast.ClassDef):
        return _settings(where, found) if _is_dataclass(found) else Any
    return Any if isinstance(found, ast.FunctionDef) else _type(where, found)


def _settings(source: _Source, node: ast.ClassDef) -> type:
    """A dataclass of the same name and fields, without what else there is to it."""
    fields = _fields(source, node, total=True).values()
    told = [(p.name, p.annotation, field() if p.default is Parameter.empty else field(default=None)) for p in fields]
    return make_dataclass(node.name, told, kw_only=True)


def _subscripted(source: _Source, node: ast.Subscript) -> Any:
    outer = _type(source, node.value)
    if outer is Literal:
        return Literal[ast.literal_eval(node.slice)]
    if outer is Any:
        return Any
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    kinds = tuple(_annotation(source, each) for each in inner)
    return outer[kinds if len(kinds) > 1 else kinds[0]]
