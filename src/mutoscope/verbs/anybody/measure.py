"""``evaluate real=... fake=...``: anybody's videos or motions, held against real ones; no model is needed."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mutoscope.config.choices import load_choice, with_groups
from mutoscope.config.commands import ClipsConfig
from mutoscope.config.measures import ClipSettings
from mutoscope.config.nodes import check_config
from mutoscope.config.presets import with_presets
from mutoscope.data.anybody import ClipSet
from mutoscope.data.clip_labels import labelled_sides
from mutoscope.formats.weights import fetching
from mutoscope.kinds.command import typed_words
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.anybody.motions import measure_motions
from mutoscope.verbs.anybody.results import ClipTask, SetEvaluation
from mutoscope.verbs.anybody.videos import measure_videos


def evaluate_sets(config: Mapping[str, Any], explicit: Mapping[str, Mapping[str, Any]] | None = None) -> SetEvaluation:
    """Measure generated clips against real ones, print the tables and write them and a report.

    Args:
        config: resolved, plain; the settings of ``evaluate`` without those of models.
        explicit: by group, what was typed of it.

    Raises:
        ConfigError: for anything that cannot be measured; nothing is written then.
    """
    asked = ClipsConfig.parse(config)
    typed = (explicit or {}).get("metrics", {})
    real, fake = _both(asked.real, asked.fake, asked.clips)
    chosen = with_groups({"metrics": asked.metrics}, {"metrics": _usual(real)}, {"metrics": typed})
    nodes = check_config(with_presets(chosen), ["metrics"])["metrics"] or {}
    words = [f"real={asked.real}", f"fake={asked.fake}", *asked.clips.typed()]
    command = shlex.join(["mutoscope", "evaluate", *words, *typed_words("metrics", typed)])
    with fetching(asked.weights == "fetch"):
        task = ClipTask(real, fake, nodes, asked.clips, asked.seed, asked.accelerator, asked.debug, command)
        found = _measured(task)
    found.show()
    found.write(Path(asked.out) if asked.out else Path("evaluation"))
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
        nodes = load_choice("metrics", _usual(sides[0]))
    else:
        nodes = with_presets({"metrics": {name.rpartition("/")[2]: name for name in metrics}})["metrics"]
    checked = check_config({"metrics": nodes}, ["metrics"])["metrics"]
    command = f"mutoscope evaluate real={real} fake={fake}"
    with fetching(fetch):
        return _measured(ClipTask(*sides, checked, settings, seed, accelerator, False, command))


def _usual(clips: ClipSet) -> str:
    """The choice of metrics where nobody makes one."""
    return "clips" if clips.kind == "video" else "motions"


def _both(real: str | Path, fake: str | Path, settings: ClipSettings) -> tuple[ClipSet, ClipSet]:
    sides = labelled_sides(real, fake, settings.labels)
    if sides[0].kind != sides[1].kind:
        kinds = f"{sides[0].root} holds {sides[0].kind}s and {sides[1].root} {sides[1].kind}s"
        raise ConfigError(f"{kinds}; they cannot be compared.")
    for clips in sides:
        if len(clips.clips) < 2:
            raise ConfigError(f"There is {len(clips.clips)} clip in {clips.root}; at least 2 are needed on each side.")
    return sides


def _measured(task: ClipTask) -> SetEvaluation:
    return measure_videos(task) if task.real.kind == "video" else measure_motions(task)
