"""The command line: ``mutoscope train|evaluate|generate|export`` and the scripts of the same names."""

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from mutoscope.cli.commands import COMMANDS, run_command
from mutoscope.cli.early import Measured, check_early
from mutoscope.cli.help import help_text
from mutoscope.cli.processes import Launch, launched_externally, needs_own_processes, run_in_fresh_process
from mutoscope.cli.sentences import sentence
from mutoscope.cli.sweeps import (
    SweepRefused,
    SweepStart,
    report_sweep,
    run_sweep_job,
    set_launcher_defaults,
    sweep_dir_for,
    sweep_id,
)
from mutoscope.cli.typed import readable, typed_values
from mutoscope.config.choices import config_dir, config_dirs
from mutoscope.config.presets import with_presets
from mutoscope.config.signatures import parameters
from mutoscope.data.registry import datamodule_class, names_without_import
from mutoscope.kinds.settings import VERBS as VERBS_OF_KINDS
from mutoscope.kinds.settings import names_of
from mutoscope.runtime.console import first_process, outlive_pipes
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import remove_empty
from mutoscope.runtime.interrupts import INTERRUPTS, STATUS, Interrupted
from mutoscope.runtime.provenance import record_command

VERBS = ("train", "evaluate", "generate", "export")


def main(verb: str | None = None) -> None:
    """Run a verb with the overrides on the command line; exits with status 1 and one sentence on failure."""
    outlive_pipes()
    if "--version" in sys.argv[1:]:
        sys.stdout.write(f"mutoscope {version('mutoscope')}\n")
        return
    if verb is None:
        if len(sys.argv) > 1 and sys.argv[1] in COMMANDS:
            sys.exit(run_command(sys.argv[1], sys.argv[2:]))
        if len(sys.argv) < 2 or sys.argv[1] not in VERBS:
            known = ", ".join((*VERBS, *COMMANDS))
            asked = f"'{sys.argv[1]}' is no command" if len(sys.argv) > 1 else "no command given"
            wanted_help = len(sys.argv) > 1 and sys.argv[1] in ("-h", "--help")
            message = (
                f"usage: mutoscope COMMAND [key=value ...]; commands: {known}; mutoscope COMMAND --help tells more"
            )
            (sys.stdout if wanted_help else sys.stderr).write(
                message + "\n" if wanted_help else f"error: {asked}. {message}\n"
            )
            sys.exit(0 if wanted_help else 2)
        verb = sys.argv.pop(1)
    status = _run(verb)
    if status:
        sys.exit(status)


def _run(verb: str) -> int:
    if any(flag in ("-h", "--help") for flag in sys.argv[1:]):
        return _help(verb, [typed for typed in sys.argv[1:] if not typed.startswith("-")])
    # GNU OpenMP's threads spin for long while they wait: beside any other work a step of milliseconds then takes a
    # second. Not to spin at all doubles a step's time on an idle machine; this many turns cost nothing either way.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    # jobs run elsewhere, but record the command that a person typed
    record_command(verb)
    sys.argv[1:] = as_added(verb, sys.argv[1:])
    with INTERRUPTS:
        status = _run_task(verb)
    if SweepStart.sweep_dir is not None:
        try:
            done = report_sweep(SweepStart.sweep_dir, stopped=status == STATUS)
        finally:
            SweepStart.end()
        status = status or int(not done)
    return status


def as_added(verb: str, typed: Sequence[str]) -> list[str]:
    """Arguments in which settings that Hydra does not know are added to those that it knows.

    The dataset is the checkpoint's, and metrics and the recogniser may be those of its model or of its kind.
    """
    if verb not in ("evaluate", "generate"):
        return list(typed)
    theirs = ("dataset.", "metrics.", "recognizer.")
    return [f"++{argument}" if argument.startswith(theirs) else argument for argument in typed]


def _help(verb: str, overrides: list[str]) -> int:
    """Print what can be set, for the choices that were typed."""
    try:
        register()
        sys.stdout.write(help_text(verb, readable(overrides)[0]))
    except Exception as error:
        sys.stderr.write(f"error: {sentence(error)}\n")
        return 1
    return 0


def _run_task(verb: str) -> int:
    debug = "debug=true" in sys.argv
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        sweep = any(flag in sys.argv for flag in ("-m", "--multirun", "hydra.mode=MULTIRUN"))
        sys.argv[1:], beyond = readable(sys.argv[1:], sweep=sweep)
        register()
        failures: list[Exception] = []

        def task(cfg: DictConfig) -> Any:
            try:
                with open_dict(cfg):
                    cfg.merge_with(beyond)
                return _TASKS[verb](cfg)
            except Exception as error:
                # kept from Hydra, which would add lines of its own
                failures.append(error)

        try:
            hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=verb)(task)()
        except SweepRefused as refused:
            raise refused.error from None
        if failures:
            raise failures[0]
    except KeyboardInterrupt as stop:
        return _stopped(verb, stop)
    except Exception as error:
        if debug:
            raise
        if INTERRUPTS.broken_off:
            # what a library makes of Ctrl-C in the midst of its import: ImportError, SystemError, RecursionError ...
            return _stopped(verb, error)
        sys.stderr.write(f"error: {sentence(error)}\n")
        return 1
    finally:
        # Hydra makes the run's folder before anything is checked
        remove_empty(SweepStart.new_folders)
    return 0


def _stopped(verb: str, stop: BaseException) -> int:
    if first_process():
        unfinished = f"Interrupted: {verb} did not finish; the same command starts it again."
        sys.stderr.write(f"{stop if isinstance(stop, Interrupted) else unfinished}\n")
    return STATUS


def register() -> None:
    """Make every dataset a choice of ``dataset=``, also those without a YAML, and teach Hydra where runs go."""
    store = ConfigStore.instance()
    for name in names_without_import():
        if (config_dir() / "dataset" / f"{name}.yaml").is_file():
            continue
        node: dict[str, Any] = {"name": name}
        for key, parameter in parameters(datamodule_class(name)).items():
            node[key] = "???" if parameter.default is inspect.Parameter.empty else parameter.default
        if "seed" in node:
            node["seed"] = "${seed}"
        store.store(group="dataset", name=name, node=node)
    for verb in VERBS_OF_KINDS:
        # missing until somebody chooses them: those that nobody chose are the kind's own matter
        settings = dict.fromkeys(_settings_of_kinds(verb), "???")
        store.store(group="settings_of_kinds", name=verb, node=settings, package="_global_")
    Plugins.instance().register(_ConfigsOfPlugins)
    OmegaConf.register_new_resolver("run_dir", run_dir_for, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("sweep_dir", sweep_dir_for, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("sweep_id", sweep_id, replace=True)
    set_launcher_defaults()


class _ConfigsOfPlugins(SearchPathPlugin):
    """Lets Hydra find the configs that packages of other people bring."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in config_dirs()[1:]:
            search_path.append("mutoscope plug-in", f"file://{folder}")


def run_dir_for(name: str, ckpt: str | None) -> str:
    """``outputs/<name>/<time>``, or, for ``ckpt=last``, the newest such directory that holds a checkpoint."""
    folder = Path("outputs") / name
    if ckpt == "last":
        runs = sorted(path.parents[1] for path in folder.glob("*/checkpoints/last.ckpt"))
        if runs:
            return str(runs[-1])
    return str(folder / (_launch_id() or _now()))


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def _launch_id() -> str | None:
    """What the ranks that torchrun or SLURM started all call their directory; ``None`` for a process alone."""
    if not launched_externally():
        return None
    run = os.environ.get("TORCHELASTIC_RUN_ID")
    if run is None:
        return f"{os.environ['SLURM_JOB_ID']}.{os.environ.get('SLURM_STEP_ID', '0')}"
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return run
    # torchrun's own id may be "none" for every run; the first rank to ask its store sets the time for all
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    return store.compare_set("mutoscope/started", "", _now()).decode()


#: whose choice ``none`` is a file without nodes
_GROUPS_OF_NODES = ("metrics", "callbacks")


def chosen_settings(cfg: DictConfig, verb: str) -> dict[str, Any]:
    """A composed config as plain data, resolved, without Hydra's part and without settings of kinds that nobody chose.

    Raises:
        MissingMandatoryValue: for a setting that must be given.
    """
    cfg = cfg.copy()
    with open_dict(cfg):
        for key in _settings_of_kinds(verb):
            if OmegaConf.is_missing(cfg, key):
                del cfg[key]
        cfg.pop("hydra", None)
    found = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert isinstance(found, dict)
    config = {str(key): value for key, value in found.items()}
    for group in _GROUPS_OF_NODES:
        config |= _without_leftovers(group, config)
    return with_presets(config)


def _without_leftovers(group: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """A group that was chosen to be ``none`` has nothing left of what a recipe sets of its nodes."""
    typed = typed_values(HydraConfig.get().overrides.task, group) if HydraConfig.initialized() else {}
    nodes = config.get(group)
    if typed.get("") != "none" or not isinstance(nodes, Mapping):
        return {}
    left = {name for name, node in nodes.items() if isinstance(node, Mapping) and "_target_" not in node} - {*typed}
    return {group: {name: node for name, node in nodes.items() if name not in left}}


def _plain(cfg: DictConfig, verb: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The same, checked before anything slow is imported."""
    config = chosen_settings(cfg, verb)
    check_early(config, verb, typed_values(overrides, "model"))
    return config


def _settings_of_kinds(verb: str) -> list[str]:
    return names_of(verb) if verb in VERBS_OF_KINDS else []


def _train(cfg: DictConfig) -> float | None:
    hydra_config = HydraConfig.get()
    run_dir = Path(hydra_config.runtime.output_dir)
    if hydra_config.mode == RunMode.MULTIRUN:
        if launched_externally():
            raise ConfigError(
                "A sweep starts the processes of its jobs itself; run it without torchrun or srun, "
                "and set trainer=ddp or another hydra/launcher."
            )
        number, overrides = hydra_config.job.num, list(hydra_config.overrides.task)

        def job(began: bool) -> float | None:
            launch = Launch.of(_plain(cfg, "train", overrides))
            # where an earlier attempt was stopped
            return run_in_fresh_process((launch.going_on(run_dir) if began else launch).config, run_dir)

        return run_sweep_job(run_dir, number, overrides, job, describe=sentence)
    launch = Launch.of(_plain(cfg, "train", hydra_config.overrides.task))
    if needs_own_processes(launch):
        return run_in_fresh_process(launch.config, run_dir)
    from mutoscope.verbs.train import train

    return train(launch.config, run_dir)


def _evaluate(cfg: DictConfig) -> None:
    config = _plain(cfg, "evaluate")
    explicit = {group: _explicit(group) for group in ("dataset", "metrics", "recognizer")}
    measured = Measured.of(config)
    if not measured.clips:
        from mutoscope.verbs.evaluate import evaluate

        evaluate(config, explicit)
        return
    from mutoscope.verbs.anybody.measure import evaluate_sets

    evaluate_sets(config, explicit)


def _generate(cfg: DictConfig) -> None:
    config = _plain(cfg, "generate")
    from mutoscope.verbs.generate import generate

    generate(config)


def _export(cfg: DictConfig) -> None:
    config = _plain(cfg, "export")
    from mutoscope.verbs.export import run_export

    run_export(config, _explicit("dataset"))


def _explicit(group: str) -> dict[str, Any]:
    """Settings of a group that were typed on the command line; an entry ``""`` holds the choice of the group itself."""
    return typed_values(HydraConfig.get().overrides.task, group)


_TASKS: dict[str, Callable[[DictConfig], Any]] = {
    "train": _train,
    "evaluate": _evaluate,
    "generate": _generate,
    "export": _export,
}

__all__ = ["ConfigError", "main", "run_dir_for"]
