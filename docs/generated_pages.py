"""Pages that are read from the project itself: every setting, and every sentence an error can say."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mutoscope.cli.help import composed
from mutoscope.cli.main import register
from mutoscope.config.choices import config_dir
from mutoscope.data.registry import names_without_import
from mutoscope.kinds.registry import every
from mutoscope.kinds.settings import VERBS, declared, names_of, phrases_of
from mutoscope.runtime.files import replacing

SOURCE = Path(__file__).parents[1] / "src" / "mutoscope"
#: values that are too long to stand in a table
_LONGEST = 60
#: errors of programs, not of people
_INTERNAL = {"NotImplementedError", "StopIteration", "KeyError", "AttributeError"}


def write_pages(folder: Path) -> None:
    """Write ``settings.md`` and ``messages.md``, which hand-written pages include."""
    folder.mkdir(exist_ok=True)
    for name, lines in (("settings.md", settings_page()), ("messages.md", messages_page())):
        with replacing(folder / name) as temporary:
            temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


# --- settings ---------------------------------------------------------------------------------------------------------


def settings_page() -> Iterator[str]:
    """A section per command, and one per group with a table for each of its choices."""
    register()
    for verb, what in (
        ("train", "Of a run; `model.`, `dataset.`, `trainer.` and others follow below."),
        ("evaluate", ""),
        ("generate", ""),
        ("export", ""),
    ):
        yield from (f"## `{verb}`", "", *([what, ""] if what else []))
        of_kinds = names_of(verb) if verb in VERBS else []
        settings = [s for s in composed(verb, [])[1] if s[0].split(".")[0] not in of_kinds]
        yield from _table([s for s in settings if not re.match(r"(model|dataset|trainer|recognizer)\.", s[0])])
        for kind in every() if of_kinds else ():
            if phrases := phrases_of(declared(kind, verb)):
                yield from (f"### `{verb}` for {kind.title}", "")
                yield from _table([(name, "", phrase) for name, phrase in phrases.items()])
    yield from ("## Models", "")
    for model in _choices("model"):
        yield from (f"### `model={model}`", "")
        yield from _table(_below("model", [f"model={model}"]))
    yield from ("## Datasets", "")
    for dataset in sorted({*_choices("dataset"), *names_without_import()}):
        yield from (f"### `dataset={dataset}`", "")
        yield from _table(_below("dataset", [f"dataset={dataset}"]))
    yield from ("## Trainer", "", "`trainer=auto`; the other choices differ in few values.", "")
    yield from _table(_below("trainer", []))
    yield from ("## Recipes", "", "| `experiment=` | what it is |", "|---|---|")
    for experiment in _choices("experiment"):
        yield f"| `{experiment}` | {_escaped(_head(config_dir() / 'experiment' / f'{experiment}.yaml'))} |"
    yield ""


def _choices(group: str) -> list[str]:
    return sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))


def _below(group: str, overrides: Sequence[str]) -> list[tuple[str, str, str]]:
    return [setting for setting in composed("train", overrides)[1] if setting[0].startswith(f"{group}.")]


def _table(settings: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    yield from ("```{rst-class} settings", "```", "")
    yield from ("| setting | default | meaning |", "|---|---|---|")
    for place, value, phrase in settings:
        shown = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
        yield f"| `{place}` | {_code(shown)} | {_escaped(phrase)} |"
    yield ""


def _head(path: Path) -> str:
    """The comment that a file begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = [line.lstrip("# ") for line in lines[: next(i for i, x in enumerate([*lines, ""]) if x[:1] != "#")]]
    return " ".join(line for line in comments if not line.startswith("@package"))


# --- messages ---------------------------------------------------------------------------------------------------------


def messages_page() -> Iterator[str]:
    """Every sentence that an error is raised with, by room and file."""
    room = ""
    for path in sorted(SOURCE.rglob("*.py")):
        found = messages(path)
        if not found:
            continue
        name = path.relative_to(SOURCE)
        if name.parts[0] != room:
            room = name.parts[0]
            yield from (f"### {room}/", "")
        yield from (f"`{name.as_posix()}`", "", *(f"- {_escaped(text)}" for text in found), "")


def messages(path: Path) -> list[str]:
    """The sentences of a file, ``…`` for what is filled in; those that hold more than that."""
    found: dict[str, None] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        call = node.exc if isinstance(node, ast.Raise) else node.value if isinstance(node, ast.Return) else None
        if isinstance(call, ast.Call) and call.args:
            name = ast.unparse(call.func)
            # some are made by a function and raised elsewhere
            if name in _INTERNAL or (isinstance(node, ast.Return) and not name.endswith("Error")):
                continue
            # errors of files take the path before the sentence
            text = max(map(_sentence, call.args), key=_letters)
            if _letters(text) >= 8:
                found[text] = None
    return list(found)


def _letters(text: str) -> int:
    return len(re.sub(r"[^a-z]", "", text))


def _sentence(node: ast.expr) -> str:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    constant = [p.value if isinstance(p, ast.Constant) and isinstance(p.value, str) else "…" for p in parts]
    return re.sub(r"…+", "…", "".join(constant))


def _code(text: str) -> str:
    return f"`` {text} ``".replace("|", "\\|") if text else ""


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|$~])", r"\\\1", text).replace("...", "…")
