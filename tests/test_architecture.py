"""The rules of the house, read from the sources."""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PurePath
from typing import Any, get_type_hints

import pytest
from places import ROOT

from mutoscope.config.signatures import parameters
from mutoscope.data.action_graph.clips import ActionGraphDataModule, ClipSettings
from mutoscope.data.datamodule import DataModule, LoaderSettings
from mutoscope.data.motion.windows import MotionDataModule, MotionSettings
from mutoscope.data.registry import datamodules
from mutoscope.models.base import IterationModule, TrainingSettings
from mutoscope.models.generative import GenerativeModule, GenerativeSettings

SOURCE = ROOT / "src" / "mutoscope"


class Trees(Mapping[str, ast.Module]):
    """Files of a folder, parsed when they are looked into: collecting tests takes their names alone."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.parsed = folder, dict[str, ast.Module]()
        self.names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.py"))]

    def __getitem__(self, name: str) -> ast.Module:
        if name not in self.names:
            raise KeyError(name)
        if name not in self.parsed:
            self.parsed[name] = ast.parse((self.folder / name).read_text())
        return self.parsed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


FILES = Trees(SOURCE)

#: rooms by floor, from the ground up
FLOORS = (
    ("runtime", "structures"),
    ("formats", "nn", "metrics"),
    ("render", "data", "models"),
    ("config", "training"),
    ("evaluators",),
    ("kinds",),
    ("verbs",),
    ("cli",),
)
ROOMS = [room for rooms in FLOORS for room in rooms]
#: constructors that say what settings mean which others take together
SHARED: list[tuple[Any, type, set[str]]] = [
    (TrainingSettings, IterationModule, {"info"}),
    (GenerativeSettings, GenerativeModule, {"info"}),
    (LoaderSettings, DataModule, {"balance"}),
    (ClipSettings, ActionGraphDataModule, {"fps"}),
    (MotionSettings, MotionDataModule, {"skeleton", "fps", "stride", "short", "frame_stride", "shift", "val_stride"}),
]
#: networks, losses and metrics can be taken into anyone's code
PURE = ("nn/", "metrics/", "structures/")
PURE_NAMES = ("generator.py", "discriminator.py", "discriminators.py", "attention_graph.py", "graph_layers.py")
PURE_NAMES += ("losses.py", "network.py", "ema.py")


@cache
def typed_dicts() -> set[str]:
    """Classes whose keys constructors may take together."""
    classes = [
        (node.name, {ast.unparse(base) for base in node.bases})
        for tree in FILES.values()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    ]
    found = {"TypedDict"}
    for _ in range(3):
        # of classes below classes
        found |= {name for name, bases in classes if bases & found}
    return found - {"TypedDict"}


def floor(path: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if path.split("/")[0] in rooms)


def imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names of all imported modules, those inside functions and type checks included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def house_files(tree: ast.Module) -> set[str]:
    """Files of the house that a file imports."""
    found = set()
    for name in imports(tree):
        if name.startswith("mutoscope."):
            path = name.removeprefix("mutoscope.").replace(".", "/")
            found |= {p for p in (f"{path}.py", f"{path}/__init__.py") if p in FILES}
    return found


def calls(tree: ast.Module, name: str) -> list[ast.Call]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == name]


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of files each of which reaches all others of its group."""

    def reached(start: str) -> set[str]:
        seen, waiting = set(), [start]
        while waiting:
            new = edges[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    reach = {path: reached(path) for path in edges}
    groups = {tuple(sorted(p for p in reach[path] if path in reach[p])) for path in edges if path in reach[path]}
    return [list(group) for group in sorted(groups)]


def test_every_module_stands_in_a_room() -> None:
    assert [path for path in FILES if "/" not in path] == ["__init__.py"]
    assert sorted({path.split("/")[0] for path in FILES if "/" in path}) == sorted(ROOMS)


def test_imports_only_go_down() -> None:
    rooms = {path: tree for path, tree in FILES.items() if "/" in path}
    upward = [
        f"{path} imports {other}"
        for path, tree in rooms.items()
        for other in house_files(tree)
        if other in rooms and floor(other) > floor(path)
    ]
    assert not upward


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]
    assert circles({path: house_files(tree) for path, tree in FILES.items()}) == []


def test_models_and_data_meet_in_structures_only() -> None:
    for here, there in (("data/", "models/"), ("models/", "data/")):
        met = [(p, o) for p, t in FILES.items() if p.startswith(here) for o in house_files(t) if o.startswith(there)]
        assert not met


def test_models_know_nothing_of_each_other() -> None:
    for path, tree in FILES.items():
        if path.startswith("models/") and path.count("/") == 2:
            mine = path.rsplit("/", 1)[0] + "/"
            others = [o for o in house_files(tree) if o.startswith("models/") and o.count("/") == 2]
            assert all(o.startswith(mine) for o in others), path


def test_networks_and_metrics_know_neither_lightning_nor_hydra_nor_files() -> None:
    checked = [p for p in FILES if p.startswith(PURE) or p.rsplit("/", 1)[-1] in PURE_NAMES]
    assert len(checked) > 10
    foreign = ("pytorch_lightning", "lightning", "lightning_fabric", "hydra", "omegaconf", "mutoscope.formats")
    for path in checked:
        assert not [name for name in imports(FILES[path]) if name.startswith(foreign)], path


def at_import(tree: ast.Module) -> Iterator[str]:
    """Top packages that importing a file imports: not those inside functions and type checks."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def test_what_draws_is_imported_when_something_is_drawn() -> None:
    source = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\ntry:\n    import b.c\nfinally:\n    pass\n"
    )
    assert set(at_import(ast.parse(source + "def f():\n    import d\nclass C:\n    import e"))) == {"typing", "b", "e"}
    drawing = {"matplotlib", "jinja2", "markupsafe"}
    users = {path for path, tree in FILES.items() if drawing & {name.split(".")[0] for name in imports(tree)}}
    assert len(users) > 4
    assert all(path.startswith("render/") for path in users), users
    assert not [path for path, tree in FILES.items() if drawing & set(at_import(tree))]


#: what takes seconds to import; none of it is needed to answer a mistake
HEAVY = (
    "torch",
    "pytorch_lightning",
    "lightning_fabric",
    "torchmetrics",
    "torchvision",
    "scipy",
    "matplotlib",
    "jinja2",
)
#: what a command imports before it knows that its config is right
EARLY = ["__init__.py", "cli/entry.py", "cli/main.py"]
EARLY += [path for path in FILES if path.startswith("models/") and path.endswith("/conditions.py")]
EARLY += [path for path in FILES if path.startswith("kinds/") and path.endswith("/settings.py")]


def at_once(tree: ast.Module) -> ast.Module:
    """The imports of a file that take place when it is imported."""
    return ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])


def packages(tree: ast.Module) -> set[str]:
    return {name.split(".")[0] for name in imports(tree)}


@pytest.mark.parametrize("path", EARLY)
def test_mistakes_are_answered_without_anything_heavy(path: str) -> None:
    seen, waiting = set(), [path]
    while waiting:
        file = waiting.pop()
        seen.add(file)
        heavy = packages(at_once(FILES[file])) & set(HEAVY)
        assert not heavy, f"{path} imports {heavy} by way of {file}"
        found = house_files(at_once(FILES[file]))
        # packages on the way are imported as well
        found |= {f"{parent}/__init__.py" for f in found for parent in map(str, PurePath(f).parents) if parent != "."}
        waiting += found - seen


def test_torchvision_is_imported_where_frames_are_looked_through_its_networks_alone() -> None:
    users = {path: tree for path, tree in FILES.items() if "torchvision" in packages(tree)}
    assert set(users) == {"nn/feature_tower.py", "evaluators/people.py"}
    assert not [path for path, tree in users.items() if "torchvision" in packages(at_once(tree))]


def test_importing_metrics_is_light() -> None:
    """They are for anyone's code: what they bring of the house, and what that brings from elsewhere."""
    brought, waiting = set(), ["metrics/__init__.py"]
    while waiting:
        brought.add(path := waiting.pop())
        waiting += house_files(FILES[path]) - brought
    assert {path.split("/")[0] for path in brought} == {"metrics", "nn", "structures"} | {
        path.split("/")[0] for path in brought if path.startswith("runtime/")
    }
    light = {"torch", "torchmetrics", "numpy", "scipy", "einops", "mutoscope", "typing_extensions"}
    elsewhere = {name for path in brought for name in at_import(FILES[path])} - set(sys.stdlib_module_names)
    assert elsewhere <= light, elsewhere - light


@pytest.mark.parametrize("path", FILES)
def test_constructors_take_named_arguments_only(path: str) -> None:
    """``**`` stands for the settings of a ``TypedDict`` of the house and for nothing else."""
    for node in ast.walk(FILES[path]):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__" and (rest := node.args.kwarg) is not None:
            typed = ast.unparse(rest.annotation) if rest.annotation is not None else ""
            shared = typed.removeprefix("Unpack[").removesuffix("]")
            assert typed == f"Unpack[{shared}]", f"{path}:{node.lineno} takes **{rest.arg}: {typed}"
            assert shared in typed_dicts(), f"{path}:{node.lineno} unpacks {shared}, which is no TypedDict of the house"


def test_shared_settings_are_those_that_their_base_takes() -> None:
    for shared, base, own in SHARED:
        taken = {name: p for name, p in parameters(base).items() if name not in own}
        assert set(taken) == set(shared.__annotations__)
        assert {name: p.annotation for name, p in taken.items()} == get_type_hints(shared)
        assert {name for name, p in taken.items() if p.default is p.empty} == shared.__required_keys__


@pytest.mark.parametrize("name", datamodules())
def test_datasets_take_the_shared_settings_with_defaults_of_their_own(name: str) -> None:
    cls = datamodules()[name]
    taken = parameters(cls)
    shared = next(shared for shared, base, _ in reversed(SHARED) if issubclass(cls, base))
    assert set(shared.__annotations__) <= set(taken)
    # none is spelled out again
    spelled = {arg.arg for arg in _constructor(cls).args.kwonlyargs}
    assert not spelled & set(shared.__annotations__)
    assert set(cls.own_defaults) <= set(taken)
    assert {key: taken[key].default for key in cls.own_defaults} == cls.own_defaults


def _constructor(cls: type) -> ast.FunctionDef:
    tree = FILES[cls.__module__.removeprefix("mutoscope.").replace(".", "/") + ".py"]
    (node,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == cls.__name__)
    return next(node for node in node.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")


@pytest.mark.parametrize("path", FILES)
def test_nothing_is_printed_or_unpickled(path: str) -> None:
    tree = FILES[path]
    assert not calls(tree, "print")
    for call in calls(tree, "torch.load"):
        given = {k.arg: ast.unparse(k.value) for k in call.keywords}
        assert given.get("weights_only") == "True", f"{path}:{call.lineno}"
    for call in calls(tree, "np.load") + calls(tree, "np.save"):
        given = {k.arg: ast.unparse(k.value) for k in call.keywords}
        assert given.get("allow_pickle") == "False", f"{path}:{call.lineno}"
    assert not {"pickle.load", "pickle.loads", "pickle.Unpickler", "dill", "cloudpickle", "joblib"} & set(imports(tree))
    assert not [call for name in ("load", "loads", "Unpickler") for call in calls(tree, f"pickle.{name}")]
