"""``evaluate real=... fake=...``: anybody's videos or motions, held against real ones; no model is needed."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from mutoscope.config.choices import load_choice, with_groups
from mutoscope.config.names import check_known
from mutoscope.config.nodes import check_config, settings_from
from mutoscope.config.presets import with_presets
from mutoscope.data.anybody import ClipSet, find_clips
from mutoscope.formats.weights import fetching
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.anybody.motions import measure_motions
from mutoscope.verbs.anybody.results import ClipSettings, SetEvaluation
from mutoscope.verbs.anybody.videos import measure_videos

#: settings of ``evaluate`` that mean something without a model
KEYS = ("real", "fake", "clips", "metrics", "out", "seed", "accelerator", "weights", "debug")


def evaluate_sets(config: Mapping[str, Any], explicit: Mapping[str, Mapping[str, Any]] | None = None) -> SetEvaluation:
    """Measure generated clips against real ones, print the tables and write them and a report.

    Args:
        config: resolved, plain; the settings of ``evaluate`` without those of models.
        explicit: by group, what was typed of it.

    Raises:
        ConfigError: for anything that cannot be measured; nothing is written then.
    """
    explicit = explicit or {}
    if config.get("real") is None or config.get("fake") is None:
        raise ConfigError("Clips are held against real ones: give both, real=<folder or file> fake=<folder or file>.")
    node = config.get("clips") or {}
    check_known(node, [one.name for one in fields(ClipSettings)], "clips", "a setting of clips")
    settings: ClipSettings = settings_from(node, ClipSettings, "clips")
    real, fake = _both(config["real"], config["fake"], settings)
    choice = {"metrics": "clips" if real.kind == "video" else "motions"}
    shared = {key: config[key] for key in KEYS if key in config}
    chosen = with_presets(with_groups(shared, choice, explicit))
    check_config(chosen, KEYS)
    changed = [f"clips.{one.name}={getattr(settings, one.name)}" for one in fields(settings)]
    usual = [f"clips.{one.name}={one.default}" for one in fields(settings)]
    typed = explicit.get("metrics", {})
    words = [f"real={config['real']}", f"fake={config['fake']}", *(word for word in changed if word not in usual)]
    words += [f"metrics.{key}={value}" if key else f"metrics={value}" for key, value in typed.items()]
    with fetching(config.get("weights") == "fetch"):
        found = _measured(real, fake, chosen, settings, shlex.join(["mutoscope", "evaluate", *words]))
    found.show()
    found.write(Path(config["out"]) if config.get("out") else Path("evaluation"))
    return found


def evaluate_clips(
    real: str | Path,
    fake: str | Path,
    *,
    metrics: Sequence[str] | None = None,
    clips: ClipSettings | None = None,
    seed: int = 1234,
    accelerator: str = "auto",
    fetch: bool = False,
) -> SetEvaluation:
    """Measure generated clips against real ones; nothing is written, see :meth:`SetEvaluation.write`.

    Args:
        real, fake: folders or files of videos, or of motions.
        metrics: names of presets, e.g. ``standard/fvd_16f``; by default those of ``metrics=clips`` or ``motions``.
        clips: what is taken of them.
        seed: of draws.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        fetch: whether to fetch weights that are not here.

    Raises:
        ConfigError: for anything that cannot be measured.
    """
    settings = clips or ClipSettings()
    sides = _both(real, fake, settings)
    if metrics is None:
        nodes = load_choice("metrics", "clips" if sides[0].kind == "video" else "motions")
    else:
        nodes = with_presets({"metrics": {name.rpartition("/")[2]: name for name in metrics}})["metrics"]
    config = check_config({"metrics": nodes, "seed": seed, "accelerator": accelerator}, KEYS)
    with fetching(fetch):
        return _measured(*sides, config, settings, f"mutoscope evaluate real={real} fake={fake}")


def _both(real: str | Path, fake: str | Path, settings: ClipSettings) -> tuple[ClipSet, ClipSet]:
    sides = find_clips(real, settings.labels), find_clips(fake, settings.labels)
    if sides[0].kind != sides[1].kind:
        kinds = f"{sides[0].root} holds {sides[0].kind}s and {sides[1].root} {sides[1].kind}s"
        raise ConfigError(f"{kinds}; they cannot be compared.")
    for clips in sides:
        if len(clips.clips) < 2:
            raise ConfigError(f"There is {len(clips.clips)} clip in {clips.root}; at least 2 are needed on each side.")
    return sides


def _measured(
    real: ClipSet, fake: ClipSet, config: Mapping[str, Any], settings: ClipSettings, command: str
) -> SetEvaluation:
    measure = measure_videos if real.kind == "video" else measure_motions
    return measure(real, fake, config, settings, command)
