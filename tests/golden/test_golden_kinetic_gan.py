"""Replay the recorded runs of the original Kinetic-GAN with this package's networks and with the naive ones.

Each file of ``DIR/kinetic_gan`` is dispatched by its name's prefix; sizes and settings are read from the file. A file
of an unknown kind and a recorded output that no replay reads are failures.
"""

import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import kinetic_gan_naive as naive
import numpy as np
import pytest
import torch
from recorded import Recorded
from safetensors import safe_open
from torch import Tensor, nn

from mutoscope.models.kinetic_gan import (
    Discriminator,
    Generator,
    critic_loss,
    generator_loss,
    gradient_penalty,
)
from mutoscope.models.kinetic_gan.generator import truncate
from mutoscope.models.kinetic_gan.graph_layers import resize_time
from mutoscope.models.kinetic_gan.pyramid import PYRAMIDS, GraphPyramid
from mutoscope.models.kinetic_gan.reference import (
    discriminator_from_reference,
    export_reference,
    generator_from_reference,
    key_map,
)
from mutoscope.structures import SKELETONS

State = Mapping[str, Tensor]
ATOL, RTOL = 2e-5, 1e-4
#: Of a gradient's largest entry: summing in another order may push a LeakyReLU across zero.
GRADIENT_RTOL = 1e-3
#: Biases before a batch norm have zero gradients; what was recorded is rounding noise.
NOISE_BIASES = re.compile(r"st_gcn_networks\.(?:[135]\.tcn\.0|[12345]\.residual\.0)\.bias")
#: Kinds that test_golden_kinetic_gan_metrics.py replays.
METRIC_KINDS = ("mmd_script", "mmd", "frechet", "feeder")


class Golden(Recorded):
    """A recorded run of the original, with the networks it was recorded from."""

    outputs = ("out/", "check/")

    def planes(self, prefix: str) -> list[Tensor]:
        return [self[f"{prefix}{number}"] for number in range(7)]

    def check(self, key: str, found: Tensor, atol: float = ATOL, rtol: float = RTOL) -> None:
        """Compare one recorded output, if the file holds it."""
        if key not in self:
            return
        self.compare(key, found.to(self[key].dtype), atol=atol, rtol=rtol)

    def check_all(self, prefix: str, found: State, **tolerance: float) -> None:
        for key in self.under(prefix):
            self.check(f"{prefix}{key}", found[key], **tolerance)

    def check_gradients(self, prefix: str, found: State) -> None:
        for key, expected in self.under(prefix).items():
            self.unread.discard(prefix + key)
            if prefix == "out/g_grad/" and NOISE_BIASES.fullmatch(key):
                continue
            allowed = max(ATOL, GRADIENT_RTOL * float(expected.abs().max()))
            error = float((found[key] - expected).abs().max())
            assert error <= allowed, f"{self.path.name}, {prefix}{key}: off by {error:.2e}, allowed {allowed:.2e}."

    def check_trained(self, key: str, found: Tensor, moved: float) -> None:
        """A parameter after Adam, whose step does not shrink with the gradient.

        One entry in a thousand may have a gradient of the size of rounding and go anywhere within ``moved``.
        """
        wrong = ~torch.isclose(found, self[key], atol=ATOL, rtol=RTOL)
        if int(wrong.sum()) > found.numel() // 1000:
            self.check(key, found)
        self.check(key, found, atol=moved)

    @property
    def pyramid(self) -> GraphPyramid:
        """By the joint count of whatever the file holds, else by the data set's name."""
        for key in ("in/x", "in/real", "in/0/real", "noise/6", "out/x"):
            if key in self:
                return _pyramid_of(self[key].shape[-1])
        if "out/A0" in self:
            return _pyramid_of(self["out/A0"].shape[-1])
        return PYRAMIDS["h36m16" if str(self.config["dataset"]).startswith("h36m") else "ntu25"]

    def length(self) -> int:
        return int(self.config["t"])

    def widths(self) -> tuple[int, ...]:
        return tuple(width // int(self.config.get("width_divisor", 1)) for width in (512, 256, 128, 64, 32))

    def sizes(self) -> tuple[int, int, int]:
        return tuple(int(self.config[key]) for key in ("channels", "classes", "latent"))  # type: ignore[return-value]

    def generator_state(self) -> dict[str, Tensor]:
        return self._state("generator", "G") or self._formula(self._new_generator(), "G")

    def discriminator_state(self) -> dict[str, Tensor]:
        return self._state("discriminator", "D") or self._formula(self._new_discriminator(), "D")

    def _new_generator(self) -> Generator:
        channels, classes, latent = self.sizes()
        return Generator(
            self.pyramid, channels, classes, latent=latent, mapping_depth=int(self.config["mlp"]), widths=self.widths()
        )

    def _new_discriminator(self) -> Discriminator:
        channels, classes, latent = self.sizes()
        return Discriminator(self.pyramid, channels, classes, latent=latent, widths=self.widths())

    def _state(self, kind: str, letter: str) -> dict[str, Tensor]:
        """Weights in this file, or in the file of the same graph that holds that network."""
        if state := self.under("weights/" if self.path.stem.startswith(kind) else f"weights_{letter}/"):
            return state
        fields = ["dataset", "channels", "classes", "latent", "width_divisor", *(["mlp"] if letter == "G" else [])]
        for path in sorted(self.path.parent.glob(f"{kind}*.safetensors")):
            with safe_open(path, "pt") as file:
                other = json.loads((file.metadata() or {}).get("config", "{}"))
            if other.get("seed") == self._seed(letter) and all(
                other.get(field) == self.config.get(field) for field in fields
            ):
                return Golden(path).under("weights/")
        return {}

    def _seed(self, letter: str) -> int:
        """``seedG`` or ``seedD`` where a file runs two networks, ``seed`` where it runs one."""
        return int(self.config.get(f"seed{letter}", self.config["seed"]))

    def _formula(self, network: Generator | Discriminator, letter: str) -> dict[str, Tensor]:
        seed = self._seed(letter)
        return {key: formula_weight(key, x, seed) for key, x in export_reference(network).items()}


def formula_weight(key: str, like: Tensor, seed: int) -> Tensor:
    """The weight that the recording made up for an entry."""
    draw = np.random.RandomState(zlib.crc32(key.encode()) ^ seed)
    u = draw.randint(-1000, 1001, size=tuple(like.shape)) / 1000.0
    fan_in = max(like[0].numel(), 1) if like.ndim else 1
    if key.startswith("edge_importance"):
        value = 1 + 0.3 * u
    elif key == "label_emb.weight":
        value = 1.7 * u
    elif key.endswith("noise.weight"):
        value = 0.3 * u
    elif key.endswith("running_mean"):
        value = 0.1 * u
    elif key.endswith("running_var"):
        value = 1 + 0.5 * u
    elif key.endswith("num_batches_tracked"):
        return torch.tensor(7)
    elif key.endswith(".bias"):
        value = 0.1 * u
    elif like.ndim == 1:
        value = 1 + 0.2 * u
    elif key.startswith("mlp."):
        value = u * np.sqrt(6 / fan_in)
    else:
        value = u * np.sqrt(4 / fan_in)
    return torch.from_numpy(np.asarray(value)).to(like.dtype)


def _pyramid_of(joints: int) -> GraphPyramid:
    (pyramid,) = [pyramid for pyramid in PYRAMIDS.values() if pyramid.num_joints == joints]
    return pyramid


def first(x: Tensor) -> Tensor:
    """``[b, c, t, v] -> [b, t, v, c]``."""
    return x.permute(0, 2, 3, 1)


def last(x: Tensor) -> Tensor:
    """``[b, t, v, c] -> [b, c, t, v]``."""
    return x.permute(0, 3, 1, 2)


class Implementation:
    """This package's networks, driven with the recording's channels-first tensors."""

    def generator(self, golden: Golden, length: int) -> nn.Module:
        return generator_from_reference(golden.generator_state(), length=length, skeleton=golden.pyramid)

    def discriminator(self, golden: Golden) -> nn.Module:
        return discriminator_from_reference(golden.discriminator_state(), skeleton=golden.pyramid)

    def blocks(self, network: nn.Module) -> nn.ModuleList:
        return network.blocks

    def centre(self, network: nn.Module, points: Tensor) -> Tensor:
        return network.centre("reference", points)

    def synthesise(self, network: nn.Module, w: Tensor, planes: list[Tensor]) -> Tensor:
        return last(network.synthesise(w, noise=[first(plane) for plane in planes]))

    def score(self, network: nn.Module, x: Tensor, label: Tensor) -> Tensor:
        return network(first(x), label)

    def layer(self, x: Tensor) -> Tensor:
        return last(x)

    def pooled(self, x: Tensor) -> Tensor:
        return x.mean((1, 2))

    def head(self, network: nn.Module) -> nn.Module:
        return network.head

    def critic_loss(self, network: nn.Module, real: Tensor, fake: Tensor, label: Tensor, alpha: Tensor) -> Tensor:
        return critic_loss(network, first(real), first(fake), label, alpha=alpha, together=False).total

    def penalty(self, network: nn.Module, real: Tensor, fake: Tensor, label: Tensor, alpha: Tensor) -> Tensor:
        return gradient_penalty(network, first(real), first(fake), label, alpha)

    def generator_loss(self, network: nn.Module, fake: Tensor, label: Tensor) -> Tensor:
        return generator_loss(network, first(fake), label)

    def state(self, network: nn.Module) -> State:
        return export_reference(network)

    def gradients(self, network: nn.Module, loss: Tensor) -> State:
        parameters = dict(network.named_parameters())
        found = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True, allow_unused=True)
        ours = dict(zip(parameters, found, strict=True))
        return {pair.theirs: pair.write(ours[pair.ours]) for pair in key_map(network) if pair.ours in ours}


class NaiveImplementation(Implementation):
    """The naive networks: a second, independent reading, and a check of the checkpoint's names."""

    def generator(self, golden: Golden, length: int) -> nn.Module:
        channels, classes, latent = golden.sizes()
        network = naive.NaiveGenerator(
            golden.pyramid,
            channels,
            classes,
            latent=latent,
            length=length,
            mapping_depth=int(golden.config["mlp"]),
            widths=golden.widths(),
        )
        network.load_state_dict(golden.generator_state(), strict=True)
        return network

    def discriminator(self, golden: Golden) -> nn.Module:
        channels, classes, latent = golden.sizes()
        network = naive.NaiveDiscriminator(golden.pyramid, channels, classes, latent=latent, widths=golden.widths())
        network.load_state_dict(golden.discriminator_state(), strict=True)
        return network

    def blocks(self, network: nn.Module) -> nn.ModuleList:
        return network.st_gcn_networks

    def centre(self, network: nn.Module, points: Tensor) -> Tensor:
        return network.centre(points)

    def synthesise(self, network: nn.Module, w: Tensor, planes: list[Tensor]) -> Tensor:
        return network.synthesise(w, planes)

    def score(self, network: nn.Module, x: Tensor, label: Tensor) -> Tensor:
        return network(x, label)

    def layer(self, x: Tensor) -> Tensor:
        return x

    def pooled(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))

    def head(self, network: nn.Module) -> nn.Module:
        return network.fcn

    def critic_loss(self, network: nn.Module, real: Tensor, fake: Tensor, label: Tensor, alpha: Tensor) -> Tensor:
        return naive.naive_critic_loss(network, real, fake, label, alpha)

    def penalty(self, network: nn.Module, real: Tensor, fake: Tensor, label: Tensor, alpha: Tensor) -> Tensor:
        return naive.naive_penalty(network, real, fake.detach(), label, alpha)

    def generator_loss(self, network: nn.Module, fake: Tensor, label: Tensor) -> Tensor:
        return -network(fake, label).mean()

    def state(self, network: nn.Module) -> State:
        return network.state_dict()

    def gradients(self, network: nn.Module, loss: Tensor) -> State:
        parameters = dict(network.named_parameters())
        found = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True, allow_unused=True)
        return dict(zip(parameters, found, strict=True))


def outputs_of(made: Implementation, network: nn.Module, run: Callable[[], Tensor]) -> tuple[Tensor, list[Tensor]]:
    """A run's result and all block outputs, channels first."""
    layers: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _m, _i, output: layers.append(made.layer(output)))
        for block in made.blocks(network)
    ]
    try:
        return run(), layers
    finally:
        for hook in hooks:
            hook.remove()


def check_blocks(golden: Golden, prefix: str, layers: list[Tensor]) -> None:
    for number, layer in enumerate(layers):
        golden.check(f"{prefix}layer{number}", layer)


def replay_graph(golden: Golden, made: Implementation) -> None:
    pyramid = golden.pyramid
    skeleton = SKELETONS[pyramid.name]
    assert tuple(sorted(skeleton.edges)) == tuple(sorted(pyramid.levels[0].edges))
    for number, level in enumerate(pyramid.levels):
        golden.check(f"out/A{number}", pyramid.adjacency(number), atol=0, rtol=0)
        golden.check(f"out/original_ids{number}", torch.tensor(level.joints), atol=0, rtol=0)
        edges = {tuple(sorted(edge)) for edge in golden[f"out/edges{number}"].tolist()}
        assert edges == {tuple(sorted(edge)) for edge in level.edges}
        hops = torch.full((level.num_joints,) * 2, torch.inf)
        for a, b in level.edges:
            hops[a, b] = hops[b, a] = 1
        golden.check(f"out/hop{number}", hops.fill_diagonal_(0), atol=0, rtol=0)
        golden.unread.discard(f"out/edges{number}")
        if number + 1 < len(pyramid.levels):
            golden.check(f"out/keep{number}", torch.tensor(pyramid.keep(number)), atol=0, rtol=0)
            golden.check(f"out/up{number}", pyramid.upsampling(number), atol=0, rtol=0)
    golden.check("out/center", torch.tensor([level.centre for level in pyramid.levels]), atol=0, rtol=0)


def check_synthesis(
    golden: Golden, made: Implementation, prefix: str, network: nn.Module, w: Tensor, planes: list[Tensor], length: int
) -> None:
    """Block outputs, up-sampled block inputs and the clip."""
    x, layers = outputs_of(made, network, lambda: made.synthesise(network, w, planes))
    check_blocks(golden, prefix, layers)
    golden.check(f"{prefix}x", x)
    levels, frames = (3, 3, 2, 2, 1, 1, 0), [plane.shape[2] for plane in planes]
    golden.check(f"{prefix}up0", w[:, :, None, None])
    for number in range(1, 7):
        up = layers[number - 1]
        if levels[number] < levels[number - 1]:
            up = up @ golden.pyramid.upsampling(levels[number]).T
        golden.check(f"{prefix}up{number}", last(resize_time(first(up), frames[number])))
    assert x.shape[2] == length


def replay_generator(golden: Golden, made: Implementation) -> None:
    network = made.generator(golden, golden.length()).eval()
    z, label = golden["in/z"], golden["in/labels"]
    planes = golden.planes("noise/")
    with torch.no_grad():
        w = network.map(z, label)
        golden.check("out/w", w)
        check_synthesis(golden, made, "out/noisy/", network, w, planes, golden.length())
        silent = [torch.zeros_like(plane) for plane in planes]
        check_synthesis(golden, made, "out/quiet/", network, w, silent, golden.length())
        if "in/trunc_points" in golden:
            centre = made.centre(network, golden["in/trunc_points"])
            golden.check("out/w_mean", centre)
            short = truncate(w, centre, float(golden["in/psi"]))
            golden.check("out/w_trunc", short)
            golden.check("out/trunc/x", made.synthesise(network, short, planes))
        for length in other_lengths(golden):
            other = made.generator(golden, length).eval()
            few = golden.planes(f"noise_t{length}/")
            check_synthesis(golden, made, f"out/t{length}/", other, w[: len(few[0])], few, length)
        network.train()
        golden.check("out/train/x", made.synthesise(network, w, planes))
    golden.check_all("out/train/after/", made.state(network))


def other_lengths(golden: Golden) -> list[int]:
    return sorted({int(match[1]) for key in golden.tensors if (match := re.match(r"out/t(\d+)/", key))})


def replay_discriminator(golden: Golden, made: Implementation) -> None:
    network = made.discriminator(golden)
    for length in [None, *other_lengths(golden)]:
        where = "" if length is None else f"t{length}/"
        x = golden[f"in/{where}x"]
        label = golden[f"in/{where}labels"] if f"in/{where}labels" in golden else golden["in/labels"][: len(x)]
        check_scores(golden, made, f"out/{where}", network, x, label)


def check_scores(
    golden: Golden, made: Implementation, prefix: str, network: nn.Module, x: Tensor, label: Tensor
) -> list[Tensor]:
    pooled: list[Tensor] = []
    hook = made.head(network).register_forward_pre_hook(lambda _m, inputs: pooled.append(inputs[0]))
    with torch.no_grad():
        score, layers = outputs_of(made, network, lambda: made.score(network, x, label))
    hook.remove()
    check_blocks(golden, prefix, layers)
    golden.check(f"{prefix}pooled", pooled[0])
    golden.check(f"{prefix}validity", score)
    return layers


def replay_wgan_gp(golden: Golden, made: Implementation) -> None:
    z, label, real, alpha = (golden[f"in/{key}"] for key in ("z", "labels", "real", "alpha"))
    critic, network = made.discriminator(golden), made.generator(golden, golden.length()).train()
    fake = made.synthesise(network, network.map(z, label), golden.planes("noise/critic/"))
    golden.check("out/fake", fake)
    golden.check("out/real_validity", made.score(critic, real, label))
    golden.check("out/fake_validity", made.score(critic, fake, label))

    mixed = (alpha * real + (1 - alpha) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(made.score(critic, mixed, label).sum(), mixed)
    golden.check("out/interpolate_gradient", gradient)
    golden.check("out/interpolate_gradient_norm", gradient.flatten(1).norm(dim=1))
    penalty = made.penalty(critic, real, fake, label, alpha)
    golden.check("out/gradient_penalty", penalty)
    golden.check_gradients("out/gp_grad/", made.gradients(critic, penalty))
    loss = made.critic_loss(critic, real, fake, label, alpha)
    golden.check("out/d_loss", loss)
    golden.check_gradients("out/d_grad/", made.gradients(critic, loss))

    fresh = made.generator(golden, golden.length()).train()
    again = made.synthesise(fresh, fresh.map(z, label), golden.planes("noise/generator/"))
    loss = made.generator_loss(critic, again, label)
    golden.check("out/g_loss", loss)
    golden.check_gradients("out/g_grad/", made.gradients(fresh, loss))


def replay_train_loop(golden: Golden, made: Implementation) -> None:
    network, critic = made.generator(golden, golden.length()).train(), made.discriminator(golden).train()
    lr = 2e-4
    optimise_g, optimise_d = (
        torch.optim.Adam(part.parameters(), lr=lr, betas=(0.5, 0.999)) for part in (network, critic)
    )
    losses_d: list[Tensor] = []
    losses_g: list[Tensor] = []
    for step in range(int(golden.config["iters"])):
        real, label, z, alpha = (golden[f"in/{step}/{key}"] for key in ("real", "labels", "z", "alpha"))
        fake = made.synthesise(network, network.map(z, label), golden.planes(f"noise/{step}/critic/"))
        loss = made.critic_loss(critic, real, fake, label, alpha)
        optimise_d.zero_grad()
        loss.backward()
        optimise_d.step()
        losses_d.append(loss.detach())
        if step % int(golden.config.get("n_critic", 2)) == 0:
            fake = made.synthesise(network, network.map(z, label), golden.planes(f"noise/{step}/generator/"))
            loss = made.generator_loss(critic, fake, label)
            optimise_g.zero_grad()
            loss.backward()
            optimise_g.step()
            losses_g.append(loss.detach())
        else:
            losses_g.append(losses_g[-1])
    golden.check("out/d_loss", torch.stack(losses_d), atol=1e-4)
    golden.check("out/g_loss", torch.stack(losses_g), atol=1e-4)
    for prefix, found in (("out/final_G/", made.state(network)), ("out/final_D/", made.state(critic))):
        for key in golden.under(prefix):
            if NOISE_BIASES.fullmatch(key) and prefix == "out/final_G/":
                golden.unread.discard(prefix + key)
            elif key.endswith("running_mean"):
                golden.check(prefix + key, found[key], atol=1e-3)
            else:
                golden.check_trained(prefix + key, found[key], moved=2 * lr * int(golden.config["iters"]))


def replay_full_width(golden: Golden, made: Implementation) -> None:
    generator_state, discriminator_state = golden.generator_state(), golden.discriminator_state()
    for letter, state in (("G", generator_state), ("D", discriminator_state)):
        for key in golden.under(f"check/{letter}/"):
            golden.check(f"check/{letter}/{key}", state[key].flatten()[:16], atol=0, rtol=0)
    sums = [sum(x.double().sum() for x in state.values()) for state in (generator_state, discriminator_state)]
    golden.check("check/checksum", torch.stack([torch.as_tensor(total) for total in sums]), atol=1e-6, rtol=1e-9)

    network, critic = made.generator(golden, golden.length()).eval(), made.discriminator(golden)
    with torch.no_grad():
        w = network.map(golden["in/z"], golden["in/labels"])
        golden.check("out/w", w)
        check_synthesis(golden, made, "out/G/", network, w, golden.planes("noise/"), golden.length())
        golden.check("out/x", made.synthesise(network, w, golden.planes("noise/")))
    layers = check_scores(golden, made, "out/D/", critic, golden["out/x"], golden["in/labels"])
    for number, layer in enumerate(layers):
        golden.check(f"out/D/stats{number}", torch.stack([layer.mean(), layer.std(), layer.abs().max()]))


REPLAYS: dict[str, Callable[[Golden, Implementation], None]] = {
    "graph": replay_graph,
    "generator": replay_generator,
    "discriminator": replay_discriminator,
    "wgan_gp": replay_wgan_gp,
    "train_loop": replay_train_loop,
    "full_width": replay_full_width,
}


def kind_of(name: str) -> str:
    """The kind that a file's name begins with."""
    for kind in (*REPLAYS, *METRIC_KINDS):
        if name == kind or name.startswith(f"{kind}_"):
            return kind
    known = ", ".join((*REPLAYS, *METRIC_KINDS))
    raise ValueError(f"'{name}' is a golden file of no known kind; its name should begin with one of {known}.")


def files_to_replay(folder: Path) -> Iterator[Path]:
    """Every file that is not another test's, unknown kinds included, so that they fail."""
    for path in sorted(folder.glob("*.safetensors")):
        if not any(path.stem == kind or path.stem.startswith(f"{kind}_") for kind in METRIC_KINDS):
            yield path


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "golden_file" in metafunc.fixturenames:
        folder = metafunc.config.golden_dir / "kinetic_gan"
        files = list(files_to_replay(folder))
        absent = pytest.param(None, marks=pytest.mark.skip(reason=f"There are no golden tensors in '{folder}'."))
        metafunc.parametrize("golden_file", files or [absent], ids=[path.stem for path in files] or ["absent"])


@pytest.mark.parametrize("made", [Implementation(), NaiveImplementation()], ids=["fast", "naive"])
def test_golden_kinetic_gan(golden_file: Path, made: Implementation) -> None:
    kind = kind_of(golden_file.stem)
    golden = Golden(golden_file)
    recorded = len(golden.unread)
    REPLAYS[kind](golden, made)
    assert recorded, f"{golden_file.name} holds no outputs to compare."
    assert not golden.unread, f"{golden_file.name} holds outputs that were not compared: {sorted(golden.unread)}."


def test_stored_weights_follow_the_formula(golden_dir: Path) -> None:
    """So that a file without weights can be replayed from its seed alone."""
    paths = sorted((golden_dir / "kinetic_gan").glob("generator*.safetensors"))
    if not paths:
        pytest.skip("This set has no generator file.")
    golden = Golden(paths[0])
    for key, x in golden.under("weights/").items():
        torch.testing.assert_close(formula_weight(key, x, int(golden.config["seed"])), x, atol=0, rtol=1e-6)


def test_unknown_kinds_are_refused() -> None:
    assert kind_of("mmd_script_h36m16") == "mmd_script"
    assert kind_of("generator_ntu_t50") == "generator"
    with pytest.raises(ValueError, match="'perceptual_ntu' is a golden file of no known kind"):
        kind_of("perceptual_ntu")
