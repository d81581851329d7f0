"""What is told of a config within a second, before torch is imported; verbs check the same again, and all the rest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mutoscope.config.nodes import check_counts
from mutoscope.config.static import check_statically
from mutoscope.data.folders import WANTED, existing_folder
from mutoscope.formats.missing import require_checkpoint
from mutoscope.runtime.errors import ConfigError


def check_early(config: Mapping[str, Any], verb: str) -> None:
    """Refuse what cannot work as far as sources and the disk tell.

    Args:
        config: resolved, plain.
        verb: that it is for.

    Raises:
        ConfigError: for a mistyped setting or value.
        CheckpointError: for a model that is not there.
        FileNotFoundError: for a folder of data that is not there.
    """
    check_counts(config)
    check_statically(config)
    # original code's files are spoken of by their readers
    if verb in ("evaluate", "generate") or (verb == "export" and config.get("format") == "mutoscope"):
        given = config.get("checkpoint")
        if verb == "evaluate" and given is None and config.get("real") is None and config.get("fake") is None:
            raise ConfigError(
                "There is nothing to measure: add checkpoint=<path>, or real=<folder> fake=<folder> for clips of any "
                "program."
            )
        for path in given if isinstance(given, list) else [given]:
            if isinstance(path, str):
                require_checkpoint(Path(path))
    dataset = config.get("dataset")
    # evaluations take the folder of the training unless another is named
    if verb == "train" and isinstance(dataset, Mapping) and dataset.get("name") in WANTED:
        existing_folder(dataset.get("root"), dataset["name"], WANTED[dataset["name"]])
