"""Classes of this package by their source, read and not imported: what they take, and plain values in their bodies."""

import ast
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from functools import cache, reduce
from inspect import Parameter
from operator import or_
from pathlib import Path
from typing import Any, Literal

_PACKAGE = Path(__file__).resolve().parents[1]
#: modules whose names annotations are made of; they are imported anyway
_OF_ANNOTATIONS = ("typing", "collections.abc", "pathlib")
_BUILTIN = {"int": int, "float": float, "bool": bool, "str": str, "list": list, "tuple": tuple, "dict": dict}


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


def dotted(path: Path, name: str) -> str:
    """The dotted name of what a file of this package defines."""
    return ".".join(("mutoscope", *path.relative_to(_PACKAGE).with_suffix("").parts, name))


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
        return dict(_parameters_of(target))
    except (_UnreadableError, OSError, SyntaxError) as error:
        raise LookupError(f"The source does not tell the parameters of {target}.") from error


@cache
def _parameters_of(target: str) -> Mapping[str, Parameter]:
    return _parameters(*_found(target))


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


# --- files ------------------------------------------------------------------------------------------------------------


@cache
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
