"""``--help``: every setting with its value and a phrase that says what it is.

The phrases are the comments of the config files and the docstrings of what is built; sources are read, not imported,
which would take seconds.
"""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from mutoscope.config.choices import choices, config_dir
from mutoscope.data.registry import datamodule_class, names_without_import, source_of
from mutoscope.kinds import DataKind, every
from mutoscope.kinds.settings import VERBS, declared, default_of, phrases_of
from mutoscope.runtime.docstrings import arguments, without_markup

#: arguments of torch's optimisers and schedules, whose own words are longer
_THEIRS = {
    "lr": "step size",
    "betas": "how slowly the averages of the gradient and of its square forget",
    "eps": "keeps the division by small gradients in bounds",
    "weight_decay": "pull of the weights towards zero",
    "momentum": "share of the last step in the next one",
    "fused": "one kernel for the whole step",
    "T_max": "steps until the step size has reached its end",
    "eta_min": "step size at the end",
    "start_factor": "share of the step size to begin with",
    "end_factor": "share of the step size at the end",
    "milestones": "steps at which the step size falls",
    "gamma": "factor by which it does",
    "total_iters": "steps until the end is reached",
}
_NAME, _TARGET = "registered name of the dataset", "what is built"


@dataclass
class _Source:
    """A class or function, by its source.

    Args:
        phrases: of its arguments.
        imported: full names of what its file imports, by the names there.
        summary: first paragraph of its docstring.
        nodes: file and name of the dataclass of settings that an argument is.
    """

    phrases: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, tuple[Path, str]] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    summary: str = ""


def help_text(verb: str, overrides: Sequence[str]) -> str:
    """The help of a verb for the choices among the overrides.

    Args:
        verb: name of the main config.
        overrides: as typed; flags are left out.
    """
    cfg, settings = composed(verb, overrides)
    of_kinds = [name for kind in every() for name in _phrases_of(kind, verb)]
    lines = [_line(*setting) for setting in settings if setting[0].split(".")[0] not in of_kinds]
    template = str(cfg.hydra.help._get_node("template")._value())
    parts = {"$APP_CONFIG_GROUPS": _groups(cfg), "$CONFIG": lines, "$KINDS": _of_kinds(verb, cfg)}
    for part, filled in parts.items():
        template = template.replace(part, "".join(f"{line}\n" for line in filled))
    return re.sub(r"\n{3,}", "\n\n", template).rstrip() + "\n"


def _of_kinds(verb: str, cfg: DictConfig) -> Iterator[str]:
    """Settings that only some kinds of data have, by kind."""
    for kind in every():
        phrases = _phrases_of(kind, verb)
        if phrases:
            yield f"\n== For models of {kind.title} =="
        for name, phrase in phrases.items():
            default = default_of(next(one for one in fields(declared(kind, verb)) if one.name == name))
            usual = "???" if default is MISSING else _shown_value(default)
            yield _line(name, usual if OmegaConf.is_missing(cfg, name) else _shown(cfg._get_node(name)), phrase)


def _phrases_of(kind: DataKind, verb: str) -> dict[str, str]:
    """Of the settings that a kind has of a verb."""
    return phrases_of(declared(kind, verb)) if verb in VERBS else {}


def composed(verb: str, overrides: Sequence[str]) -> tuple[DictConfig, list[tuple[str, str, str]]]:
    """A verb's config for the choices among the overrides, and place, value and phrase of every setting of it."""
    with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = hydra.compose(verb, list(overrides), return_hydra_config=True)
    settings = explained(cfg, _comments_of_choices(verb, cfg))
    return cfg, [setting for setting in settings if not setting[0].endswith(("_partial_", "_preset_"))]


def _line(place: str, value: str, phrase: str) -> str:
    setting = f"{place}={value}"
    gap = "  " if len(setting) < 46 else "\n" + " " * 48
    return f"{setting:<46}{gap}{phrase}" if phrase else setting


def _groups(cfg: DictConfig) -> Iterator[str]:
    chosen = cfg.hydra.runtime.choices
    for group in sorted(path.name for path in config_dir().iterdir() if path.is_dir() and path.name != "hydra"):
        if group in chosen:
            # what begins with _ is what others are made of
            names = {path.stem for path in (config_dir() / group).glob("[!_]*.yaml")}
            names |= set(names_without_import()) if group == "dataset" else set()
            yield f"{group}: {', '.join(sorted(names))}"


# --- settings ---------------------------------------------------------------------------------------------------------


def explained(cfg: DictConfig, comments: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Place, value and phrase of every setting of a composed config but Hydra's own."""
    yield from _explained(cfg, "", comments, _Source(), "")


def _explained(
    node: DictConfig, where: str, comments: Mapping[str, str], source: _Source, inherited: str
) -> Iterator[tuple[str, str, str]]:
    content: Any = node._content
    target = content["_target_"]._value() if "_target_" in content else None
    if target is not None:
        source, inherited = _described(str(target)), ""
    elif where == "dataset" and "name" in content:
        source, inherited = _Source(_dataset_phrases(str(content["name"]._value()))), ""
    for key, child in content.items():
        place = f"{where}.{key}" if where else str(key)
        if place == "hydra":
            continue
        phrase = _phrase(place, str(key), comments, source.phrases) or inherited
        if isinstance(child, DictConfig) and isinstance(child._content, dict):
            inner = _source(*source.nodes[key]) if key in source.nodes else _Source()
            yield from _explained(child, place, comments, inner, phrase)
        else:
            yield place, _shown(child), phrase


def _phrase(place: str, key: str, comments: Mapping[str, str], phrases: Mapping[str, str]) -> str:
    """What a docstring says, where it says more than where else to look; then the comment of a config file."""
    if place == "dataset.name":
        return _NAME
    found = phrases.get(key, "")
    return comments.get(place) or found if found.startswith("see ") or not found else found


def _shown(node: Any) -> str:
    if isinstance(node, DictConfig) or hasattr(node, "_content"):
        content = node._content
        value = content if content is None or isinstance(content, str) else OmegaConf.to_container(node, resolve=False)
    else:
        value = node._value()
    return _shown_value(value)


def _shown_value(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return str(value).replace("'", "") if isinstance(value, list) else str(value)


# --- comments of config files -----------------------------------------------------------------------------------------


def _comments_of_choices(verb: str, cfg: DictConfig) -> dict[str, str]:
    found = _comments(config_dir() / f"{verb}.yaml", "")
    for kind in every():
        found |= _phrases_of(kind, verb)
    # of a group of which several can be chosen Hydra does not say which were
    several = {"logger": choices("logger")} if "logger" in cfg else {}
    for group, chosen in {**several, **cfg.hydra.runtime.choices}.items():
        if chosen is None or str(group).startswith("hydra/"):
            continue
        name, _, package = str(group).partition("@")
        for choice in [chosen] if isinstance(chosen, str) else chosen:
            found |= _with_defaults(config_dir() / name / f"{choice}.yaml", package or name)
    return found


def _with_defaults(path: Path, package: str) -> dict[str, str]:
    """Comments of a file on top of those of the choices of its group that it begins with."""
    if not path.is_file():
        return {}
    loaded = OmegaConf.load(path)
    defaults = loaded.get("defaults", []) if isinstance(loaded, DictConfig) else []
    found: dict[str, str] = {}
    for other in defaults:
        if isinstance(other, str) and other != "_self_":
            found |= _with_defaults(path.with_name(f"{other}.yaml"), package)
    return found | {place: comment for place, comment in _comments(path, package).items() if comment}


def _comments(path: Path, package: str) -> dict[str, str]:
    """Comments by the places of the keys that they stand beside, or above."""
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    if "# @package _global_" in text:
        package = ""
    found: dict[str, str] = {}
    way: list[tuple[int, str]] = []
    above = ""
    for line in text.splitlines():
        if not line.strip():
            above = ""
        elif line.lstrip().startswith("#"):
            # those at the top are about the whole file
            above = f"{above} {line.strip().lstrip('#').strip()}".strip() if found else ""
        elif matched := re.match(r"^( *)([\w/]+):(?: (.*))?$", line):
            indent, key, rest = len(matched[1]), matched[2], matched[3] or ""
            way = [*(entry for entry in way if entry[0] < indent), (indent, key)]
            _, _, beside = rest.partition(" # ")
            place = ".".join([*([package] if package else []), *(name for _, name in way)])
            found[place] = beside or (rest[2:] if rest.startswith("# ") else "") or above
            above = ""
    return found


# --- docstrings -------------------------------------------------------------------------------------------------------


def _dataset_phrases(name: str) -> dict[str, str]:
    if (found := source_of(name)) is not None:
        return _source(*found).phrases
    # a plug-in's has been imported already
    return {
        key: without_markup(phrase) for key, phrase in arguments(inspect.getdoc(datamodule_class(name)) or "").items()
    }


def _described(target: str) -> _Source:
    if target.startswith("torch.optim."):
        return _Source({**_THEIRS, "_target_": "torch's own"})
    module, _, name = target.rpartition(".")
    path = _file_of(module, name)
    if path is None:
        return _Source({"_target_": _TARGET})
    found = _source(path, name)
    return _Source({**found.phrases, "_target_": found.summary}, found.nodes)


@lru_cache
def _file_of(module: str, name: str) -> Path | None:
    """The file that defines ``name``; a package may take it over from one of its files."""
    top, *rest = module.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    base = Path(spec.origin).parent.joinpath(*rest) if rest else Path(spec.origin).parent
    candidates = [base.with_suffix(".py")] if rest else [Path(spec.origin)]
    candidates += sorted(base.glob("*.py")) if base.is_dir() else []
    pattern = re.compile(rf"^(class|def) {re.escape(name)}\b", re.MULTILINE)
    return next((path for path in candidates if path.is_file() and pattern.search(path.read_text("utf-8"))), None)


@lru_cache
def _source(path: Path, name: str) -> _Source:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    source = _Source()
    bases: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            source.imported |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            docstring = ast.get_docstring(node) or ""
            source.phrases, source.summary = arguments(docstring), without_markup(docstring.partition("\n\n")[0])
        if isinstance(node, ast.ClassDef) and node.name == name:
            plain = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
            bases = [base.id for base in plain if isinstance(base, ast.Name)]
            source.nodes = dict(_nodes(node, path, source))
    inherited: dict[str, str] = {}
    for base in bases:
        inherited |= _referred(base, path, source)
        source.nodes = {**_nodes_of(base, path, source), **source.nodes}
    for key, phrase in source.phrases.items():
        if phrase.startswith("see ") and f"`{name}`" not in phrase:
            source.phrases[key] = _followed(phrase, key, path, source) or inherited.get(key) or phrase
    source.phrases = {**inherited, **source.phrases}
    source.phrases = {key: without_markup(phrase) for key, phrase in source.phrases.items()}
    return source


def _nodes_of(base: str, path: Path, source: _Source) -> dict[str, tuple[Path, str]]:
    module, _, name = source.imported.get(base, "").rpartition(".")
    file = path if not module else _file_of(module, name) if module.startswith("mutoscope.") else None
    return {} if file is None else _source(file, base).nodes


def _nodes(cls: ast.ClassDef, path: Path, source: _Source) -> Iterator[tuple[str, tuple[Path, str]]]:
    """Arguments of a class, or fields of a dataclass, that are dataclasses of the house themselves."""
    annotated: list[tuple[str, ast.expr | None]] = []
    for node in cls.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            annotated += [(arg.arg, arg.annotation) for arg in (*node.args.args, *node.args.kwonlyargs)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            annotated.append((node.target.id, node.annotation))
    for argument, annotation in annotated:
        for name in ast.walk(annotation) if annotation is not None else ():
            if isinstance(name, ast.Name) and name.id[0].isupper():
                module, _, own = source.imported.get(name.id, "").rpartition(".")
                file = path if not module else _file_of(module, own) if module.startswith("mutoscope.") else None
                if file is not None:
                    yield argument, (file, name.id)


def _followed(phrase: str, key: str, path: Path, source: _Source) -> str | None:
    """The phrase that stands where a docstring says ``see :class:`Other```."""
    for reference in re.findall(r":\w+:`~?\.?([\w.]+)`", phrase):
        found = _referred(reference, path, source)
        # an argument may be called after what it goes to, e.g. layout_beta
        for name in (key, *(key[i + 1 :] for i, letter in enumerate(key) if letter == "_")):
            if name in found:
                return found[name]
    return None


def _referred(reference: str, path: Path, source: _Source) -> dict[str, str]:
    full = reference if "." in reference else source.imported.get(reference)
    if full is None:
        return _source(path, reference).phrases
    module, _, name = full.rpartition(".")
    file = _file_of(module, name) if full.startswith("mutoscope.") else None
    return {} if file is None else _source(file, name).phrases
