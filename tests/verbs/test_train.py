"""``train``: what a run leaves behind, how long it is, that it repeats, and when it refuses."""

import csv
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from mutoscope.formats.checkpoints import read_checkpoint
from mutoscope.models.kinetic_gan import losses, module
from mutoscope.models.kinetic_gan.module import KineticGAN
from mutoscope.runtime.errors import ConfigError
from mutoscope.training.callbacks.run_log import TrainingDivergedError
from mutoscope.training.loggers import read_metrics
from mutoscope.verbs.train import train

Compose = Callable[..., dict[str, Any]]


def last(run_dir: Path) -> dict[str, Any]:
    return read_checkpoint(run_dir / "checkpoints" / "last.ckpt")


def assert_equal(a: dict[str, Any], b: dict[str, Any]) -> None:
    """Bit-equal weights, averages and optimiser states."""
    for part in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(a[part], b[part], rtol=0, atol=0)


def plain_sgd(config: dict[str, Any], lr: float) -> dict[str, Any]:
    """The config with optimisers whose steps are the gradients themselves."""
    node = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": lr}
    config["model"]["optimizers"] = {"critic": node, "generator": node}
    return config


def critic_change(config: Callable[[float], dict[str, Any]], folder: Path) -> Tensor:
    """How one iteration moves the critic's weights, flat; ``config`` takes the learning rate."""
    weights = []
    for lr in (0.0, 1.0):
        train(config(lr), folder / str(lr))
        state = last(folder / str(lr))["state_dict"]
        weights.append(torch.cat([v.flatten() for name, v in state.items() if name.startswith("critic.")]))
    return weights[1] - weights[0]


def test_a_run_lasts_as_many_iterations_as_asked(
    tiny: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny("trainer.max_steps=7", "model.n_critic=3", "trainer.progress=true", "objective=loss/critic")
    halving = {"_target_": "torch.optim.lr_scheduler.StepLR", "_partial_": True, "step_size": 2, "gamma": 0.5}
    config["model"]["schedulers"] = {"critic": halving}
    objective = train(config, tmp_path)

    checkpoint = last(tmp_path)
    assert checkpoint["mutoscope"]["iterations"] == 7
    assert checkpoint["mutoscope"]["samples_seen"] == 56
    critic, generator = (next(iter(o["state"].values()))["step"].item() for o in checkpoint["optimizer_states"])
    assert (critic, generator) == (7, math.ceil(7 / 3))
    (schedule,) = checkpoint["lr_schedulers"]
    assert schedule["last_epoch"] == 7
    assert checkpoint["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(2e-4 * 0.5**3)

    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 8))
    assert [row["samples_seen"] for row in rows] == [8 * step for step in range(1, 8)]
    assert objective == rows[-1]["loss/critic"]
    # the generator moved in the first, fourth and seventh iteration; between them its last loss is shown
    shown = [row["loss/generator"] for row in rows]
    assert shown[0] == shown[1] == shown[2] != shown[3] == shown[4] == shown[5] != shown[6]
    assert "7/7" in capsys.readouterr().out


def test_a_run_directory_tells_everything_about_the_run(trained: Path) -> None:
    config = yaml.safe_load((trained / "config.yaml").read_text())
    assert config["model"]["latent"] == 8
    facts = json.loads((trained / "run.json").read_text())
    assert {"command", "python", "versions", "commit"} <= set(facts)
    assert torch.__version__.startswith(facts["versions"]["torch"].split("+")[0])
    with (trained / "metrics.csv").open() as file:
        table = list(csv.DictReader(file))
    rows = read_metrics(trained / "metrics.jsonl")
    assert [float(line["loss/critic"]) for line in table] == [row["loss/critic"] for row in rows]
    assert sorted(path.name for path in (trained / "checkpoints").iterdir()) == [
        "last.ckpt",
        *(f"step={step:08d}.ckpt" for step in (2, 4, 6)),
    ]


def test_the_same_command_gives_the_same_weights_and_another_seed_others(
    tiny: Compose, trained: Path, tmp_path: Path
) -> None:
    torch.manual_seed(99)
    train(tiny("trainer.max_steps=6"), tmp_path / "again")
    assert_equal(last(tmp_path / "again"), last(trained))
    train(tiny("trainer.max_steps=6", "seed=1"), tmp_path / "other")
    name = "critic.head.weight"
    assert not torch.equal(last(tmp_path / "other")["state_dict"][name], last(trained)["state_dict"][name])


def test_looking_at_a_run_does_not_change_it(
    tiny: Compose, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUTOSCOPE_CACHE", str(tmp_path / "cache"))
    looked = ["metrics=motion", "measure.every_n_steps=2", "measure.samples_per_class=20", "recognizer.max_steps=2"]
    looked += ["callbacks=default", "callbacks.media.every_n_steps=4", "callbacks.media.per_class=1"]
    objective = train(tiny("trainer.max_steps=6", *looked), tmp_path / "run")
    assert_equal(last(tmp_path / "run"), last(trained))
    measured = [row for row in read_metrics(tmp_path / "run" / "metrics.jsonl") if "metric/motion_fid" in row]
    assert [row["step"] for row in measured] == [2, 4, 6]
    assert objective == measured[-1]["metric/motion_fid"]
    galleries = sorted((tmp_path / "run" / "media").iterdir())
    assert [folder.name for folder in galleries] == ["step=00000004", "step=00000006"]
    assert (galleries[0] / "sheet.png").is_file()


def test_a_finished_run_goes_on_when_given_more_iterations(tiny: Compose, trained: Path, tmp_path: Path) -> None:
    train(tiny("trainer.max_steps=4"), tmp_path)
    with pytest.raises(ConfigError, match=r"already holds a run; add ckpt=last .* overwrite=true"):
        train(tiny("trainer.max_steps=6"), tmp_path)
    train(tiny("trainer.max_steps=6", "ckpt=last"), tmp_path)
    assert_equal(last(tmp_path), last(trained))
    before = (tmp_path / "checkpoints/last.ckpt").stat().st_mtime_ns
    train(tiny("trainer.max_steps=6", "ckpt=last"), tmp_path)
    assert (tmp_path / "checkpoints/last.ckpt").stat().st_mtime_ns == before


def test_starting_anew_leaves_nothing_of_the_old_run(tiny: Compose, trained: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(trained, run_dir)
    train(tiny("trainer.max_steps=2", "overwrite=true"), run_dir)
    assert [path.name for path in (run_dir / "checkpoints").iterdir()] == ["last.ckpt"]
    assert [row["step"] for row in read_metrics(run_dir / "metrics.jsonl")] == [1, 2]


def test_a_milestone_of_the_run_itself_is_gone_on_from(tiny: Compose, trained: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(trained, run_dir)
    config = tiny("trainer.max_steps=6")
    config["ckpt"] = str(run_dir / "checkpoints" / "step=00000004.ckpt")
    (run_dir / "checkpoints" / "last.ckpt").unlink()
    train(config, run_dir)
    assert_equal(last(run_dir), last(trained))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.latent=9"], r"'_generator\.\S+' is of shape \[.*\] in the model, but of shape \[.*\] in .*last\.ckpt"),
        (["dataset.length=20"], r"The dataset's length is 20, but .*last\.ckpt was made with 16; set the dataset's"),
        (["dataset.classes=[walk]"], r"The dataset's classes is \['walk'\], but .* was made with \['walk', 'wave'"),
    ],
)
def test_a_checkpoint_of_something_else_is_not_continued(
    tiny: Compose, trained: Path, tmp_path: Path, overrides: list[str], message: str
) -> None:
    config = tiny("trainer.max_steps=9", *overrides)
    config["ckpt"] = str(trained / "checkpoints" / "last.ckpt")
    with pytest.raises(ConfigError, match=message):
        train(config, tmp_path)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainer.max_steps=0"], "trainer.max_steps is 0, expected at least 1 iteration"),
        (["trainer.precision=16-mixed"], "16-mixed works on GPUs only; use bf16-mixed or 32-true"),
        (["trainer.precision=64-true"], "'64-true', expected 32-true, bf16-mixed or 16-mixed"),
        (["trainer.accelerator=tpu"], "'tpu', expected auto, cpu or gpu"),
        (["trainer.devices=two"], "devices is two, expected a whole number or auto"),
    ],
)
def test_trainers_that_cannot_work_are_refused_before_anything_is_written(
    tiny: Compose, tmp_path: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(tiny(*overrides), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_divergence_stops_the_run_and_keeps_the_last_good_checkpoint(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    original = module.critic_loss

    def poisoned(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        loss = original(*args, **kwargs)
        return loss._replace(total=loss.total * math.nan) if calls == 4 else loss

    monkeypatch.setattr(module, "critic_loss", poisoned)
    config = tiny("trainer.max_steps=6", "trainer.checkpoint_every_n_steps=2", "trainer.log_every_n_steps=100")
    with pytest.raises(
        TrainingDivergedError,
        match=r"(grad_norm_critic|loss/critic) became nan at iteration 4.*last\.ckpt holds iteration 2 and",
    ):
        train(config, tmp_path)
    kept = last(tmp_path)
    assert kept["mutoscope"]["iterations"] == 2
    assert all(bool(value.isfinite().all()) for value in kept["state_dict"].values())


def test_micro_batches_accumulate_to_the_gradients_of_the_whole_batch(tiny: Compose, tmp_path: Path) -> None:
    # what sees only a part of the batch, or draws anew for every part, is off
    whole = ["model.use_skip=false", "model.norm_blocks=[]", "model.use_noise=false", "model.penalty_weight=0"]
    whole += ["trainer.max_steps=1"]
    changes = [
        critic_change(lambda lr, n=n: plain_sgd(tiny(*whole, f"model.micro_batches={n}"), lr), tmp_path / str(n))
        for n in (1, 2, 4)
    ]
    assert changes[0].norm() > 0
    for change in changes[1:]:
        torch.testing.assert_close(change, changes[0], rtol=1e-4, atol=1e-7)
    with pytest.raises(ValueError, match="mini-batch of 8 cannot be worked off in 3 equal parts"):
        train(tiny("model.micro_batches=3", "trainer.max_steps=1"), tmp_path / "uneven")


def test_gradients_are_clipped_to_the_norm_asked_for(tiny: Compose, tmp_path: Path) -> None:
    def config(lr: float) -> dict[str, Any]:
        return plain_sgd(tiny("trainer.max_steps=1", "model.clip_norm=0.01"), lr)

    change = critic_change(config, tmp_path)
    assert change.norm().item() == pytest.approx(0.01, rel=1e-3)
    # logged is the norm before
    (row,) = read_metrics(tmp_path / "1.0" / "metrics.jsonl")
    assert row["health/grad_norm_critic"] > 0.1


def test_bf16_trains_and_keeps_the_penalty_in_full_precision(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[torch.dtype] = set()
    penalty = losses.gradient_penalty

    def spied(critic: Any, *args: Any, **kwargs: Any) -> Tensor:
        def watched(joints: Tensor, label: Tensor) -> Tensor:
            score = critic(joints, label)
            seen.update((joints.dtype, score.dtype))
            return score

        return penalty(watched, *args, **kwargs)

    monkeypatch.setattr(losses, "gradient_penalty", spied)
    scores: set[torch.dtype] = set()
    loss = module.generator_loss

    def watched_loss(critic: nn.Module, fake: Tensor, label: Tensor) -> Tensor:
        scores.add(critic(fake, label).dtype)
        return loss(critic, fake, label)

    monkeypatch.setattr(module, "generator_loss", watched_loss)
    train(tiny("trainer.max_steps=3", "trainer.precision=bf16-mixed"), tmp_path)
    assert seen == {torch.float32}
    assert scores == {torch.bfloat16}
    assert all(math.isfinite(row["loss/critic"]) for row in read_metrics(tmp_path / "metrics.jsonl"))
    assert {v.dtype for v in last(tmp_path)["state_dict"].values() if v.is_floating_point()} == {torch.float32}


@pytest.mark.slow
def test_compiled_networks_do_what_eager_ones_do(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # tracing and differentiating is what may go wrong here; the default backend's code generation takes minutes
    compiling = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda network: compiling(network, backend="aot_eager"))
    short = ["trainer.max_steps=1", "model.use_noise=false"]
    for compiled in (False, True):
        train(plain_sgd(tiny(*short, f"model.compile_networks={compiled}"), 0.1), tmp_path / str(compiled))
    eager, compiled = last(tmp_path / "False")["state_dict"], last(tmp_path / "True")["state_dict"]
    torch.testing.assert_close(compiled, eager, rtol=1e-3, atol=1e-5)


def test_a_recogniser_trains_through_the_same_door(compose: Compose, tmp_path: Path) -> None:
    config = compose(
        "model=recognizer",
        "dataset.clips_per_class=4",
        "dataset.val_clips_per_class=2",
        "dataset.batch_size=4",
        "dataset.length=16",
        "trainer=cpu",
        "trainer.max_steps=2",
        "trainer.progress=false",
        "objective=loss/recognizer",
    )
    objective = train(config, tmp_path)
    assert objective is not None
    assert objective > 0
    assert last(tmp_path)["mutoscope"]["iterations"] == 2


def test_an_objective_that_is_never_logged_is_none(tiny: Compose, tmp_path: Path) -> None:
    assert train(tiny("trainer.max_steps=1"), tmp_path) is None


def test_the_update_schedule_may_restart_every_epoch(tiny: Compose, tmp_path: Path) -> None:
    overrides = ["model.n_critic=3", "model.restart_every=2", "trainer.max_steps=6"]
    train(tiny(*overrides), tmp_path)
    generator = last(tmp_path)["optimizer_states"][1]["state"]
    assert next(iter(generator.values()))["step"].item() == 3
    with pytest.raises(ValueError, match="restart_every is 0"):
        KineticGAN(KineticGAN.__new__, optimizers={}, restart_every=0)  # type: ignore[arg-type]


def test_a_lazy_penalty_counts_for_the_iterations_it_leaves_out(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: list[float] = []
    known = module.critic_loss

    def noted(*args: Any, **settings: Any) -> Any:
        weights.append(settings["penalty_weight"])
        return known(*args, **settings)

    monkeypatch.setattr(module, "critic_loss", noted)
    train(tiny("model.penalty_every=3", "model.penalty_weight=2", "trainer.max_steps=7"), tmp_path)
    assert weights == [6, 0, 0, 6, 0, 0, 6]
    with pytest.raises(ValueError, match="penalty_every is 0"):
        KineticGAN(KineticGAN.__new__, optimizers={}, penalty_every=0)  # type: ignore[arg-type]
