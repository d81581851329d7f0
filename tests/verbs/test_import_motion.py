"""``export`` from checkpoints of the original Kinetic-GAN and SA-GCN: what is asked for, and what comes out."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch

from mutoscope.config.assembly import load_model
from mutoscope.models import kinetic_gan, registry, sa_gcn
from mutoscope.models.kinetic_gan.reference import export_reference as kinetic_gan_file
from mutoscope.models.registry import generative_models, importers
from mutoscope.models.sa_gcn.reference import export_reference as sa_gcn_file
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import H36M15, NTU25, Normaliser
from mutoscope.verbs.export import run_export

Compose = Callable[..., dict[str, Any]]
WIDTHS = (16, 12, 8, 8, 6)
TOLD = (
    "original.length=32",
    "original.fps=30",
    "original.classes=[walk,wave,kick]",
    "original.normaliser={offset:[0,1,0],scale:[2,2,2]}",
)


@pytest.fixture
def run(compose: Compose, tmp_path: Path) -> Callable[..., Path]:
    def exported(path: Path, *words: str, out: str = "model") -> Path:
        config = compose(f"checkpoint={path}", f"out={tmp_path / out}", *words, verb="export")
        typed = {
            w.partition("=")[0].removeprefix("dataset").removeprefix("."): w for w in words if w.startswith("data")
        }
        return run_export(config, typed)

    return exported


@pytest.fixture
def generator(tmp_path: Path) -> tuple[kinetic_gan.Generator, Path]:
    torch.manual_seed(0)
    network = kinetic_gan.Generator(NTU25, 3, 3, latent=8, mapping_depth=2, widths=WIDTHS, length=32).eval()
    torch.save(kinetic_gan_file(network), path := tmp_path / "generator.pth")
    return network, path


def test_a_kinetic_gan_makes_what_its_original_makes(
    run: Callable[..., Path], generator: tuple[kinetic_gan.Generator, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    network, path = generator
    folder = run(path, "format=kinetic_gan", *TOLD)
    model, config = load_model(folder)
    assert "which holds no critic" in " ".join(capsys.readouterr().out.split())
    info = model.info
    assert (info.classes, info.length, info.fps, info.skeleton) == (("walk", "wave", "kick"), 32, 30.0, NTU25)
    assert info.normaliser == Normaliser((0, 1, 0), (2, 2, 2))
    assert config.model["latent"] == 8
    label = torch.tensor([0, 2])
    sample = model.generate(label, seed=3)
    weights = model.generator.state_dict()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(weights[name], value)
    with torch.no_grad():
        torch.manual_seed(0)
        z, quiet = torch.randn(2, 8), [torch.zeros(shape) for shape in network.noise_shapes(2)]
        torch.testing.assert_close(model.generator(z, label, noise=quiet), network(z, label, noise=quiet))
    assert sample.fake.shape == (2, 32, 25, 3)
    assert (sample.fake[..., 1] - 1).abs().max() <= 2


def test_the_critic_comes_along_where_it_is_named(
    run: Callable[..., Path], generator: tuple[kinetic_gan.Generator, Path], tmp_path: Path
) -> None:
    critic = kinetic_gan.Discriminator(NTU25, 3, 3, latent=8, widths=WIDTHS)
    torch.save(kinetic_gan_file(critic), tmp_path / "critic.pth")
    folder = run(generator[1], "format=kinetic_gan", *TOLD, f"original.files.critic={tmp_path / 'critic.pth'}")
    theirs = load_model(folder)[0].critic.state_dict()  # type: ignore[union-attr, operator]
    assert all(torch.equal(value, theirs[name]) for name, value in critic.state_dict().items())


def test_what_the_file_lacks_is_asked_for(
    run: Callable[..., Path], generator: tuple[kinetic_gan.Generator, Path], tmp_path: Path
) -> None:
    path = generator[1]
    for setting in TOLD:
        name = setting.partition("=")[0].replace(".", r"\.")
        with pytest.raises(ConfigError, match=rf"generator\.pth does not say .*: type {name}="):
            run(path, "format=kinetic_gan", *(word for word in TOLD if word != setting))
    for words, message in (
        (["original.classes=[walk]"], r"knows 3 classes, but 1 are named; type original\.classes"),
        (["original.normaliser={offset:[0]}"], "original.normaliser: Normaliser got 1 offsets but 3 scales"),
        (["original.skeleton=ntu"], r"original\.skeleton is 'ntu', expected one of ntu25"),
        (["original.length=many"], r"original\.length is 'many', expected a whole number"),
        (["+original.lenght=3"], r"original\.lenght is not a setting of Told; did you mean 'length'"),
        (["dataset=cater"], "KineticGAN takes motion data, but dataset 'cater' yields action_graph"),
    ):
        with pytest.raises(ConfigError, match=message):
            run(path, "format=kinetic_gan", *TOLD, *words)
    with pytest.raises(ConfigError, match=r"original\.normaliser has shift, expected offset and scale"):
        run(path, "format=kinetic_gan", *TOLD[:3], "original.normaliser={shift:[0]}")
    with pytest.raises(ConfigError, match="original is for checkpoints of original code"):
        run(path, *TOLD)
    with pytest.raises(ValueError, match=r"no entry 'w1\.weight'"):
        run(path, "format=sa_gcn", *TOLD)
    assert not (tmp_path / "model").exists()


def test_a_dataset_says_it_all(
    run: Callable[..., Path], generator: tuple[kinetic_gan.Generator, Path], trained: Path
) -> None:
    words = ["dataset=toy_motion", "dataset.classes=[walk,wave,kick]", "dataset.clips_per_class=2", "dataset.length=16"]
    words += ["dataset.val_clips_per_class=1", "format=kinetic_gan"]
    info = load_model(run(generator[1], *words))[0].info
    assert (info.name, info.length, info.classes) == ("toy_motion", 16, ("walk", "wave", "kick"))
    assert info.normaliser is not None
    with pytest.raises(ConfigError, match="the data set 'toy_motion' has 25 joints of 2 coordinates"):
        run(
            generator[1], "format=kinetic_gan", *words, "dataset.val_clips_per_class=1", "dataset.channels=2", out="two"
        )


def test_a_sa_gcn_makes_what_its_original_makes(run: Callable[..., Path], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = sa_gcn.Generator(
        H36M15,
        2,
        3,
        length=8,
        options=sa_gcn.variant_options("reference", kept=3),
        noise=5,
        embedding=4,
        projection=6,
        hidden=9,
        widths=(8, 12, 10),
        graph_widths=(4, 6, 6),
    ).eval()
    torch.save(sa_gcn_file(network), path := tmp_path / "generator.pth")
    critics = []
    for name, critic in (
        ("clip_critic", sa_gcn.ClipCritic(15, 2, 3, length=8, widths=(6, 7, 8, 5))),
        ("frame_critic", sa_gcn.FrameCritic(15, 2, 3, frames=4, widths=(6, 7, 8, 5))),
    ):
        torch.save(sa_gcn_file(critic), tmp_path / f"{name}.pth")
        critics.append(f"original.files.{name}={tmp_path / name}.pth")
    told = (*(w for w in TOLD[1:3]), "original.normaliser={offset:[0,0],scale:[1,1]}", "original.kept=3")
    alone, _ = load_model(run(path, "format=sa_gcn", *told, "original.length=8", out="alone"))
    model, config = load_model(run(path, "format=sa_gcn", *told, *critics))
    assert (model.info.length, config.model["graph"]["kept"]) == (8, 3)
    inputs = torch.randn(2, 8, 5), torch.tensor([0, 2]), torch.rand(2, 9)
    with torch.no_grad():
        torch.testing.assert_close(model.generator(*inputs), network(*inputs))
        torch.testing.assert_close(alone.generator(*inputs), network(*inputs))
    assert model.generate(torch.tensor([0, 2])).fake.shape == (2, 8, 15, 2)
    with pytest.raises(ConfigError, match=r"makes 8 frames, but original\.length is 9"):
        run(path, "format=sa_gcn", *told, "original.length=9", out="longer")


def test_models_are_found_by_folder_and_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"ag2vid", "glass", "kinetic_gan", "sa_gcn"} <= set(generative_models())
    assert {"ag2vid", "kinetic_gan", "sa_gcn"} <= set(importers())
    mine = EntryPoint("mine", "mutoscope.models.sa_gcn.module:SAGCN", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [mine] if group == registry.ENTRY_POINT_GROUP else [])
    generative_models.cache_clear()
    assert importers()["mine"].__name__ == "SAGCN"
    monkeypatch.undo()
    generative_models.cache_clear()
