"""``evaluate``: models in; tables of metrics with their floors, ``metrics.json`` and ``report.html`` out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mutoscope import kinds
from mutoscope.config.assembly import prepared, same_data
from mutoscope.config.choices import with_groups
from mutoscope.config.commands import EvaluateConfig
from mutoscope.config.foreign import taken_dataset
from mutoscope.config.measures import RecognizerConfig
from mutoscope.config.nodes import check_config
from mutoscope.config.presets import with_presets
from mutoscope.data.datamodule import DataModule
from mutoscope.formats.weights import fetching
from mutoscope.kinds.beside import as_typed, results_of, several
from mutoscope.kinds.command import evaluation_command
from mutoscope.kinds.fitting import check_measures
from mutoscope.kinds.results import Evaluation
from mutoscope.kinds.settings import fill, names_of
from mutoscope.kinds.task import EvaluationSettings, EvaluationTask, LoadedModel
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import no_empty_folders

Explicit = Mapping[str, Mapping[str, Any]]


def evaluate(config: Mapping[str, Any], explicit: Explicit | None = None) -> Evaluation:
    """Measure a trained model, print its tables and write them, media and a report.

    Args:
        config: resolved, plain: the settings of all kinds, and those of the model's kind that somebody chose.
        explicit: by group, the settings the user typed, with an entry ``""`` for the choice of the group itself: those
            of ``dataset`` win over the checkpoint's; ``metrics`` and ``recognizer`` that nobody chose are those of the
            model, or of its kind.

    Returns:
        What the evaluation of the model's kind found; also written to ``out``.

    Raises:
        ConfigError: for anything that cannot be measured, before it is.
    """
    explicit = explicit or {}
    # what nobody has is told before a model is read
    asked = EvaluateConfig.parse(config, names_of("evaluate"))
    models = [LoadedModel.open(path, asked.accelerator) for path in several(asked.checkpoint, "checkpoint")]
    first = models[0]
    settings = settings_for(first, asked, explicit)
    datamodule = prepared(
        cut_as_trained(asked.dataset, first.trained_on, explicit.get("dataset", {}), f"{asked.checkpoint}")
    )
    out = Path(asked.out) if asked.out else results_of(first.path)
    # a folder that cannot be made is told before the work
    with no_empty_folders(out):
        out.mkdir(parents=True, exist_ok=True)
        with fetching(asked.weights == "fetch"):
            evaluation = evaluated(models, datamodule, settings)
        evaluation.show()
        evaluation.write(out)
    return evaluation


def settings_for(model: LoadedModel, asked: EvaluateConfig, explicit: Explicit) -> EvaluationSettings:
    """What an evaluation of a model is asked to do.

    Args:
        model: whose kind and own choices of metrics count.
        asked: of groups that nobody chose, single settings at most.
        explicit: see :func:`evaluate`.

    Raises:
        ConfigError: for settings of other kinds; for metrics and recognisers that do not fit; for values out of range.
    """
    kind = kinds.find(model.kind)
    options = fill(kind, "evaluate", asked.options, str(model.path))
    seeds = asked.listed_seeds()
    command = evaluation_command(as_typed({**asked.settings(), "seeds": seeds}), explicit)
    groups = {"metrics": asked.metrics, "recognizer": asked.recognizer}
    chosen = with_presets(with_groups(groups, {**kind.load_tools().groups, **model.module.groups}, explicit))
    metrics = check_config(chosen, list(groups))["metrics"] or {}
    recognizer = RecognizerConfig.parse(chosen["recognizer"]) if chosen["recognizer"] else None
    check_measures(metrics, recognizer, type(model.module))
    return EvaluationSettings(
        metrics=metrics,
        recognizer=recognizer,
        options=options,
        split=asked.split,
        samples_per_class=asked.samples_per_class,
        controllability=asked.controllability,
        seed=asked.seed,
        seeds=seeds or [asked.seed],
        strict=asked.debug,
        command=command,
        sets=asked.clips,
    )


def evaluated(models: Sequence[LoadedModel], datamodule: DataModule, settings: EvaluationSettings) -> Evaluation:
    """Measure checkpoints of one model on data that they know; nothing is written.

    Raises:
        ConfigError: for models of different classes, or of other data.
    """
    first = models[0]
    for model in models:
        same_data(datamodule.info, model.info, f"checkpoint {model.path}")
        if type(model.module) is not type(first.module):
            raise ConfigError(
                f"checkpoint lists {first.path}, a {type(first.module).__name__}, and {model.path}, a "
                f"{type(model.module).__name__}; list checkpoints of one model, and compare with others by "
                "beside='{name: path}'."
            )
    return kinds.tools(first.kind).evaluate(EvaluationTask(models, datamodule, settings))


def cut_as_trained(
    chosen: Mapping[str, Any] | None, trained: Mapping[str, Any], explicit: Mapping[str, Any], whose: str
) -> dict[str, Any]:
    typed = {name: value for name, value in explicit.items() if name}
    if chosen is None or chosen.get("name") in (None, trained.get("name")):
        return taken_dataset(trained, typed, whose)
    # another dataset is cut the way the model's own was, unless the user says otherwise
    shared = ("length", "fps", "skeleton", "channels", "root_rule", "align_heading", "size")
    cut = {key: trained[key] for key in shared if key in trained and key in chosen}
    return {**chosen, **taken_dataset(cut, typed, whose)}
