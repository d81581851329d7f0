"""``evaluate real=... fake=...``: anybody's videos or motions, held against real ones; no model is needed."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from mutoscope.config.nodes import check_config, with_groups
from mutoscope.config.presets import with_presets
from mutoscope.data.anybody import find_clips
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
    if config.get("real") is None or config.get("fake") is None:
        raise ConfigError("Clips are held against real ones: give both, real=<folder or file> fake=<folder or file>.")
    settings = _settings(config.get("clips") or {})
    real, fake = (find_clips(config[side], settings.labels) for side in ("real", "fake"))
    if real.kind != fake.kind:
        raise ConfigError(f"{real.root} holds {real.kind}s and {fake.root} {fake.kind}s; they cannot be compared.")
    for clips in (real, fake):
        if len(clips.clips) < 2:
            raise ConfigError(f"There is {len(clips.clips)} clip in {clips.root}; at least 2 are needed on each side.")
    choice = {"metrics": "clips" if real.kind == "video" else "motions"}
    shared = {key: config[key] for key in KEYS if key in config}
    chosen = with_presets(with_groups(shared, choice, explicit or {}))
    check_config(chosen, KEYS)
    out = Path(config["out"]) if config.get("out") else Path("evaluation")
    command = f"mutoscope evaluate real={config['real']} fake={config['fake']}"
    measure = measure_videos if real.kind == "video" else measure_motions
    with fetching(config.get("weights") == "fetch"):
        found = measure(real, fake, chosen, settings, command)
    found.show()
    found.write(out)
    return found


def _settings(node: Mapping[str, Any]) -> ClipSettings:
    known = {one.name for one in fields(ClipSettings)}
    if unknown := sorted(set(node) - known):
        raise ConfigError(f"clips.{unknown[0]} is not a setting of clips; they are {', '.join(sorted(known))}.")
    return ClipSettings(**node)
