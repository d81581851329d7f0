"""``--help``: every setting with its value and a phrase that says what it is.

The phrases are the comments of the config files and the docstrings of what is built; sources are read, not imported,
which would take seconds.
"""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from mutoscope.config.nodes import choices, config_dir
from mutoscope.data.registry import datamodule_class, names_without_import, source_of

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
    """

    phrases: dict[str, str] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    summary: str = ""


def help_text(verb: str, overrides: Sequence[str]) -> str:
    """The help of a verb for the choices among the overrides.

    Args:
        verb: name of the main config.
        overrides: as typed; flags are left out.
    """
    cfg, settings = composed(verb, overrides)
    lines = [_line(place, value, phrase) for place, value, phrase in settings]
    template = str(cfg.hydra.help._get_node("template")._value())
    for part, filled in {"$APP_CONFIG_GROUPS": _groups(cfg), "$CONFIG": lines}.items():
        template = template.replace(part, "".join(f"{line}\n" for line in filled))
    return re.sub(r"\n{3,}", "\n\n", template).rstrip() + "\n"


def composed(verb: str, overrides: Sequence[str]) -> tuple[DictConfig, list[tuple[str, str, str]]]:
    """A verb's config for the choices among the overrides, and place, value and phrase of every setting of it."""
    with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = hydra.compose(verb, list(overrides), return_hydra_config=True)
    settings = explained(cfg, _comments_of_choices(verb, cfg))
    return cfg, [setting for setting in settings if not setting[0].endswith("_partial_")]


def _line(place: str, value: str, phrase: str) -> str:
    setting = f"{place}={value}"
    gap = "  " if len(setting) < 46 else "\n" + " " * 48
    return f"{setting:<46}{gap}{phrase}" if phrase else setting


def _groups(cfg: DictConfig) -> Iterator[str]:
    chosen = cfg.hydra.runtime.choices
    for group in sorted(path.name for path in config_dir().iterdir() if path.is_dir() and path.name != "hydra"):
        if group in chosen or group in ("experiment",):
            names = {path.stem for path in (config_dir() / group).glob("*.yaml")}
            names |= set(names_without_import()) if group == "dataset" else set()
            yield f"{group}: {', '.join(sorted(names))}"


# --- settings ---------------------------------------------------------------------------------------------------------


def explained(cfg: DictConfig, comments: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Place, value and phrase of every setting of a composed config but Hydra's own."""
    yield from _explained(cfg, "", comments, {}, "")


def _explained(
    node: DictConfig, where: str, comments: Mapping[str, str], phrases: Mapping[str, str], inherited: str
) -> Iterator[tuple[str, str, str]]:
    content: Any = node._content
    target = content["_target_"]._value() if "_target_" in content else None
    if target is not None:
        phrases, inherited = {"_target_": _TARGET, **_phrases(str(target))}, ""
    elif where == "dataset" and "name" in content:
        phrases, inherited = _dataset_phrases(str(content["name"]._value())), ""
    for key, child in content.items():
        place = f"{where}.{key}" if where else str(key)
        if place == "hydra":
            continue
        phrase = _phrase(place, str(key), comments, phrases) or inherited
        if isinstance(child, DictConfig) and isinstance(child._content, dict):
            yield from _explained(child, place, comments, {}, phrase)
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
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return str(value).replace("'", "") if isinstance(value, list) else str(value)


# --- comments of config files -----------------------------------------------------------------------------------------


def _comments_of_choices(verb: str, cfg: DictConfig) -> dict[str, str]:
    found = _comments(config_dir() / f"{verb}.yaml", "")
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
    return {key: _plain(phrase) for key, phrase in arguments(inspect.getdoc(datamodule_class(name)) or "").items()}


def _phrases(target: str) -> dict[str, str]:
    if target.startswith("torch.optim."):
        return {**_THEIRS, "_target_": "torch's own"}
    module, _, name = target.rpartition(".")
    path = _file_of(module, name)
    return {} if path is None else {**_source(path, name).phrases, "_target_": _source(path, name).summary}


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
            source.phrases, source.summary = arguments(docstring), _plain(docstring.partition("\n\n")[0])
        if isinstance(node, ast.ClassDef) and node.name == name:
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    inherited: dict[str, str] = {}
    for base in bases:
        inherited |= _referred(base, path, source)
    for key, phrase in source.phrases.items():
        if phrase.startswith("see ") and f"`{name}`" not in phrase:
            source.phrases[key] = _followed(phrase, key, path, source) or inherited.get(key) or phrase
    source.phrases = {**inherited, **source.phrases}
    source.phrases = {key: _plain(phrase) for key, phrase in source.phrases.items()}
    return source


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


def arguments(docstring: str) -> dict[str, str]:
    """Phrases of the ``Args:`` of a docstring, by argument."""
    _, found, block = inspect.cleandoc(docstring).partition("\nArgs:\n")
    entries: list[str] = []
    for line in block.splitlines() if found else []:
        if line and not line.startswith(" "):
            break
        if re.match(r"^    \S", line):
            entries.append(line.strip())
        elif line.strip() and entries:
            entries[-1] += " " + line.strip()
    phrases: dict[str, str] = {}
    for entry in entries:
        names, _, phrase = entry.partition(": ")
        if re.fullmatch(r"[\w, *]+", names):
            phrases |= {name.strip(): phrase for name in names.split(",")}
    return phrases


def _plain(phrase: str) -> str:
    """Without the markup of docstrings."""
    phrase = re.sub(r":\w+:`~?\.?(?:[\w.]+\.)?(\w+)`", r"\1", phrase)
    # as it is typed
    phrase = re.sub(r"\bNone\b", "null", phrase.replace("``", ""))
    return " ".join(phrase.split()).rstrip(".")
