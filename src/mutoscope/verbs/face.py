"""What the command line does, with the same words, in Python; :mod:`mutoscope` hands it on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, overload

from omegaconf import OmegaConf
from torchmetrics import Metric

from mutoscope import kinds
from mutoscope.config.assembly import prepared
from mutoscope.config.choices import choices, config_dirs, load_choice
from mutoscope.config.commands import EvaluateConfig
from mutoscope.config.foreign import taken_dataset
from mutoscope.config.measures import RecognizerConfig
from mutoscope.config.names import closest
from mutoscope.config.nodes import build, check_config
from mutoscope.config.signatures import needed
from mutoscope.config.targets import locate
from mutoscope.data.datamodule import DataModule
from mutoscope.data.registry import datamodule_class
from mutoscope.kinds.beside import several
from mutoscope.kinds.results import Evaluation, Generated
from mutoscope.kinds.settings import Answer_co, Request, fill, refill
from mutoscope.kinds.task import LoadedModel
from mutoscope.runtime.errors import ConfigError
from mutoscope.verbs.evaluate import cut_as_trained, evaluated, settings_for
from mutoscope.verbs.export import export
from mutoscope.verbs.generate import generated_by


class TrainedModel(LoadedModel):
    """A trained model that generates, is measured and exported; see :func:`load`.

    ``module`` is the network (a ``LightningModule`` in evaluation mode), ``info`` what it knows of its data, ``config``
    that of its training, ``path`` where it comes from, ``device`` where it works.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, whose order is the label."""
        return self.info.classes

    @overload
    def generate(self, request: Request[Answer_co], *, seed: int = 0) -> Answer_co: ...

    @overload
    def generate(self, request: None = None, *, seed: int = 0, **wishes: Any) -> Generated: ...

    def generate(self, request: Any = None, *, seed: int = 0, **wishes: Any) -> Any:
        """Generate what is asked for; ``.save(folder)`` of the answer writes it, ``.sample`` holds its tensors.

        Args:
            request: see :func:`mutoscope.classes`, :func:`~mutoscope.mixture`, :func:`~mutoscope.between`,
                :func:`~mutoscope.prompt`.
            seed: of latents and noise.
            wishes: instead of a request, the settings of ``mutoscope generate``: ``generate(label="walk", n=4)``.

        Raises:
            ConfigError: for wishes that the model cannot meet.
        """
        kind, whose = kinds.find(self.kind), str(self.path)
        if request is None:
            asked = fill(kind, "generate", wishes, whose)
        elif wishes:
            raise ConfigError(f"generate() got a request and {', '.join(wishes)}; say all of it in the request.")
        else:
            asked = refill(kind, "generate", request, whose)
        return generated_by(self, asked, seed)

    def evaluate(self, data: DataModule | str | None = None, **settings: Any) -> Evaluation:
        """Measure the model; see :func:`evaluate`."""
        return evaluate(self, data, **settings)

    def dataset(self, **settings: Any) -> DataModule:
        """The data that the model was trained on, set up.

        Args:
            settings: of the dataset that differ from those in training, e.g. ``root``.
        """
        return prepared(taken_dataset(self.trained_on, settings, str(self.path)))

    def export(self, out: str | Path) -> Path:
        """Write ``config.json``, ``model.safetensors`` and a card to the new folder ``out``."""
        return export(self.path, Path(out))

    def __repr__(self) -> str:
        return (
            f"{type(self.module).__name__} on {self.info.name} after {self.module.iterations:,} iterations, {self.path}"
        )


def load(path: str | Path, *, accelerator: str = "auto") -> TrainedModel:
    """Load a trained model.

    Args:
        path: of a run directory (its last checkpoint), a checkpoint or an exported folder.
        accelerator: ``auto`` (a GPU where there is one), ``cpu`` or ``gpu``.

    Raises:
        CheckpointError: if it is none of these, or cannot be read; nothing in it is unpickled or run.
    """
    return TrainedModel.open(path, accelerator)


def evaluate(
    model: "TrainedModel | str | Path | Sequence[TrainedModel | str | Path]",
    data: DataModule | str | None = None,
    *,
    metrics: str | Mapping[str, Any] | None = None,
    recognizer: str | Mapping[str, Any] | None = None,
    split: str = "val",
    samples_per_class: int = 100,
    controllability: int = 16,
    foils: int = 64,
    curve: bool = False,
    seed: int = 1234,
    seeds: Sequence[int] | None = None,
    accelerator: str = "auto",
    strict: bool = False,
    **options: Any,
) -> Evaluation:
    """Measure a trained model beside what it is held against; ``.write(folder)`` of the answer writes all of it.

    Args:
        model: or where it lies; several checkpoints of one model share a row.
        data: the model's own unless others are given: from :func:`dataset`, or the name of a dataset, which is then cut
            as the model's own was.
        metrics: name of a choice of ``conf/metrics``, or settings by metric (``{"lpips": None}`` leaves one out); the
            model's own, or its kind's, by default.
        recognizer: name of a choice of ``conf/recognizer``, or settings such as ``{"max_steps": 100}``.
        split: ``val``, or ``test`` where the data have one.
        samples_per_class: that are generated and held against real clips.
        controllability: cases of every question whether the model does what is asked; 0 leaves them out.
        foils: clips of the table of floors and foils at most, beside distances between sets of clips; 0 for no table.
        curve: also tell how those distances depend on the number of clips.
        seed: of latents and of which real clips are drawn.
        seeds: of latents alone, several: rows of models are then means over them.
        accelerator: for models that are loaded here.
        strict: let errors of metrics through instead of leaving their cells empty.
        options: of the model's kind, as ``mutoscope evaluate`` has them: ``reference``, ``truncation``, ``beside`` ...

    Raises:
        ConfigError: for anything that cannot be measured, before it is.
    """
    listed = several(model, "model")
    models = [one if isinstance(one, LoadedModel) else load(one, accelerator=accelerator) for one in listed]
    explicit: dict[str, dict[str, Any]] = {}
    config: dict[str, Any] = {
        "checkpoint": models if len(models) > 1 else models[0],
        "split": split,
        "samples_per_class": samples_per_class,
        "controllability": controllability,
        "clips": {"foils": foils, "curve": curve},
        "seed": seed,
        "seeds": None if seeds is None else list(seeds),
        "debug": strict,
    }
    for group, chosen in (("metrics", metrics), ("recognizer", recognizer)):
        config[group] = _resolved(load_choice(group, chosen)) if isinstance(chosen, str) else dict(chosen or {})
        explicit[group] = {"": chosen} if isinstance(chosen, str) else dict(chosen or {})
    explicit["dataset"] = {} if data is None else {"": data} if isinstance(data, str) else _typed(data)
    # what is no setting of the model's kind is told with those that are
    asked = replace(EvaluateConfig.parse(config, ()), options=options)
    settings = settings_for(models[0], asked, explicit)
    if isinstance(data, DataModule):
        datamodule = data
    else:
        trained = models[0].trained_on
        other = None if data is None else _node("dataset", data)
        datamodule = prepared(cut_as_trained(other, trained, {}, str(models[0].path)))
    return evaluated(models, datamodule, settings)


def dataset(name: str, **settings: Any) -> DataModule:
    """Open a dataset, prepared and set up: ``dataset("toy_motion", length=32)``.

    Args:
        name: as in ``dataset=<name>`` of the command line.
        settings: over those of its YAML.

    Raises:
        ConfigError: for unknown names and settings, with the closest ones.
    """
    return prepared({**_node("dataset", name), **settings})


def metric(name: str, data: DataModule | None = None, *, choice: str | None = None, **settings: Any) -> Metric:
    """A metric by its name in ``conf/metrics``: ``metric("lpips")``, ``metric("motion_fid", dataset("toy_motion"))``.

    Args:
        name: such as ``motion_fid`` or ``paper/sa_gcn_mmd``.
        data: for metrics that ask for something of the data, e.g. a recogniser, which is trained once and cached.
        choice: of ``conf/metrics``, where several have a metric of this name.
        settings: over those of the YAML.

    Raises:
        ConfigError: for unknown names and settings, with the closest ones; for a metric that asks for data.
    """
    presets = {one: load_choice("metrics", one) for one in ([choice] if choice is not None else choices("metrics"))}
    found = {one: nodes[name] for one, nodes in presets.items() if name in nodes}
    if not found:
        known = sorted({key for nodes in presets.values() for key in nodes})
        raise ConfigError(
            f"There is no metric '{name}'; did you mean '{closest(name, known)}'? Known: {', '.join(known)}."
        )
    first, *others = found.values()
    if any(other != first for other in others):
        raise ConfigError(f"Several choices have a metric '{name}'; add choice=, one of {', '.join(found)}.")
    node = {**first, **settings}
    if data is None:
        if lacking := [key for key in needed(locate(node["_target_"], name)) if key not in node]:
            raise ConfigError(f"'{name}' asks for {lacking[0]}, which comes with data: metric('{name}', dataset(...)).")
        return cast(Metric, build(node, f"metrics.{name}"))
    tools = kinds.tools(data.kind)
    trained = _resolved(load_choice("recognizer", tools.groups["recognizer"])) if "recognizer" in tools.groups else {}
    recognizer = RecognizerConfig.parse(trained) if trained else None
    nodes = check_config({"metrics": {name: _resolved(node)}}, ["metrics"])["metrics"]
    made = tools.metrics(data, nodes, recognizer)
    if name not in made:
        raise ConfigError(f"The metric '{name}' cannot be had for {data.info.name}; what was printed says why.")
    return made[name]


def _node(group: str, name: str) -> dict[str, Any]:
    """A choice of a group; of datasets also those without a YAML."""
    datamodule_class(name)
    if any((folder / group / f"{name}.yaml").is_file() for folder in config_dirs()):
        return _resolved(load_choice(group, name))
    return {"name": name}


def _resolved(node: Mapping[str, Any]) -> dict[str, Any]:
    """A node as the command line has it where nobody sets a seed."""
    whole = OmegaConf.to_container(OmegaConf.create({"seed": 0, "node": dict(node)}), resolve=True)
    assert isinstance(whole, dict)
    return {str(key): value for key, value in whole["node"].items()}


def _typed(data: DataModule) -> dict[str, Any]:
    """What would be typed for these data, for the command that repeats an evaluation."""
    name = data.registered_name
    usual = _node("dataset", name) if data.node else {}
    return {"": name, **{key: value for key, value in data.node.items() if key != "name" and usual.get(key) != value}}
