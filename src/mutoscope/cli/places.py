"""Files and folders that settings name: whether they are there, before torch is imported; readers say the rest."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mutoscope.config.commands import OWN_FORMAT
from mutoscope.data.folders import WANTED, existing_folder, require_files
from mutoscope.data.registry import plugins, source_of
from mutoscope.formats.missing import require_archive, require_checkpoint, require_halves, require_model, require_named
from mutoscope.formats.weights import SMOKE
from mutoscope.kinds.settings import VERBS, named_by

#: by verb, settings that name models
_MODELS = {"train": "ckpt", "evaluate": "checkpoint", "generate": "checkpoint", "export": "checkpoint"}
#: by verb, further settings that all kinds share, and what is expected there; those of single kinds say it themselves
_OTHERS = {
    "evaluate": {
        "real": "real videos or motions, a folder or a file",
        "fake": "generated videos or motions, a folder or a file",
        "clips.labels": "a CSV file with the columns name and label",
    },
    "export": {"original.files": "weights of the original's network of this name"},
}


def check_places(config: Mapping[str, Any], verb: str) -> None:
    """Whether whatever files and folders a config names are there.

    Perceptual losses, whose weights are looked for where none are named, are asked of the model itself.

    Args:
        config: resolved, plain.
        verb: that it is for.

    Raises:
        CheckpointError: for a model.
        FileNotFoundError: for anything else; the sentence names the setting, and what is expected there.
    """
    for _, path in _named(_MODELS[verb], config.get(_MODELS[verb])):
        if verb == "export" and config.get("format") != OWN_FORMAT:
            # as other programs write them
            require_checkpoint(Path(path))
        elif verb != "train":
            require_model(Path(path))
        elif path != "last":
            # or a run that may not have begun
            require_archive(Path(path))
    others = dict(_OTHERS.get(verb, {}))
    if verb in VERBS:
        others |= {name: phrase.partition("; ")[0].partition(": ")[0] for name, phrase in named_by(verb).items()}
    for setting, what in others.items():
        for place, path in _named(setting, _at(config, setting)):
            require_named(place, [Path(path)], what)
    for place, path in _weights("metrics", config.get("metrics")):
        require_named(place, [Path(path)], "a file of weights; without it published ones are looked for")
    # checkpoints of original code know their data by their words alone
    if verb != "export" or config.get("checkpoint") is None:
        _check_data(config.get("dataset"), own=verb == "train")
    if verb == "train" and config.get("ckpt") is None:
        require_halves(config.get("model") or {})


def _check_data(dataset: Any, own: bool) -> None:
    """A dataset's folder and files; where it is not all the ``own`` of the command, a checkpoint may name the rest."""
    if not isinstance(dataset, Mapping):
        return
    name, root = dataset.get("name"), dataset.get("root")
    if name in WANTED and (own or root is not None):
        existing_folder(root, str(name), WANTED[str(name)])
    # what others' datasets mean by their settings is their own matter
    ours = not plugins() if name is None else source_of(str(name)) is not None
    if ours:
        if name is None and isinstance(root, str):
            require_named("dataset.root", [Path(root)], "the folder of the data that the model knows")
        require_files(dataset)


def _named(setting: str, value: Any) -> Iterator[tuple[str, str]]:
    """Paths that a setting names, each under its place: one, several, or by name one or several."""
    if isinstance(value, str):
        yield setting, value
    elif isinstance(value, list | tuple):
        yield from ((setting, path) for path in value if isinstance(path, str))
    elif isinstance(value, Mapping):
        for name, paths in value.items():
            yield from _named(f"{setting}.{name}", paths)


def _weights(where: str, node: Any) -> Iterator[tuple[str, str]]:
    """Files of weights among the settings of metrics, of which networks within have some of their own."""
    for key, value in node.items() if isinstance(node, Mapping) else ():
        if key == "weights" and isinstance(value, str) and value != SMOKE:
            yield f"{where}.{key}", value
        yield from _weights(f"{where}.{key}", value)


def _at(config: Any, place: str) -> Any:
    for key in place.split("."):
        config = config.get(key) if isinstance(config, Mapping) else None
    return config
