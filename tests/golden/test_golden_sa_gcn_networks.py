"""Replay the recorded runs of the original SA-GCN with this package's networks and with the dense ones.

Each file of ``DIR/sa_gcn`` is dispatched by its name's prefix; sizes are read from the tensors, settings from the file.
A file of an unknown kind and a recorded output that no replay reads are failures.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import sa_gcn_dense as dense
import torch
from recorded import Recorded
from torch import Tensor, nn

from mutoscope.models.sa_gcn import ClipCritic, FrameCritic, Generator, variant_options
from mutoscope.models.sa_gcn.attention_graph import (
    SelfAttention,
    SequenceGraph,
    causal_attention,
    neighbours,
    prune_past,
    prune_row,
)
from mutoscope.models.sa_gcn.discriminators import ClipCriticSettings, FrameCriticSettings
from mutoscope.models.sa_gcn.generator import GeneratorSettings, GraphOptions, GraphSettings, GraphStack
from mutoscope.models.sa_gcn.graph_layers import GraphConv
from mutoscope.models.sa_gcn.module import SAGCN
from mutoscope.models.sa_gcn.reference import (
    clip_critic_from_reference,
    export_reference,
    frame_critic_from_reference,
    generator_from_reference,
    key_map,
    load_reference,
)
from mutoscope.structures import H36M15, DatasetInfo, MotionBatch, Normaliser

State = Mapping[str, Tensor]
Network = Generator | ClipCritic | FrameCritic
ATOL, RTOL = 5e-6, 1e-5
GRADIENT_RTOL = 1e-4  # of a tensor's largest entry
STEP_ATOL = 2e-6
#: kinds that other files replay: metrics, and the preparation of data
ELSEWHERE = ("mmd", "camera_projection", "pipeline_2d")


class Golden(Recorded):
    """A recorded run of the original, with its gradients."""

    outputs = ("out/", "grad/")

    def check(self, key: str, found: Tensor, atol: float = ATOL, rtol: float = RTOL) -> None:
        """Compare one recorded output, if the file holds it."""
        if key not in self:
            return
        # nodes may be recorded side by side
        found = found.to(self[key].dtype).reshape(self[key].shape)
        self.compare(key, found, atol=atol, rtol=rtol)

    def check_sum(self, prefix: str, names: tuple[str, ...], found: Tensor) -> None:
        """Compare the sum of several recorded numbers."""
        self.unread -= {prefix + name for name in names}
        torch.testing.assert_close(found, sum(self[prefix + name] for name in names), atol=ATOL, rtol=RTOL)

    def check_gradient(self, key: str, found: Tensor) -> None:
        if key in self:
            self.check(key, found, atol=GRADIENT_RTOL * float(self[key].abs().max()), rtol=0)

    def check_gradients(self, gradients: State, prefix: str = "") -> None:
        """Recorded gradients and their norms, of parameters under the original's names."""
        for key, found in gradients.items():
            self.check_gradient(f"grad/{key}", found)
            self.check(f"out/gradnorm/{prefix}{key}", found.norm(), atol=1e-7, rtol=GRADIENT_RTOL)


def formula_state(expected: State, seed: int) -> dict[str, Tensor]:
    """Weights that the recorder computed from their names."""
    return {key: formula_weight(key, x, seed) for key, x in expected.items()}


def formula_weight(name: str, like: Tensor, seed: int) -> Tensor:
    if name.endswith("gamma"):
        return torch.full_like(like, 0.5)
    if "layer_norm" in name:
        return torch.full_like(like, float(name.endswith("weight")))
    # 64-bit arithmetic wraps around by intention
    with np.errstate(over="ignore"):
        z = np.arange(1, like.numel() + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z += np.uint64((zlib.crc32(name.encode()) << 32) + seed)
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    uniform = ((z >> np.uint64(40)).astype(np.float64) / 2**24).astype(np.float32)
    bound = np.float32(1 / np.sqrt(like[0].numel())) if like.ndim >= 2 else np.float32(0.05)
    return torch.from_numpy((np.float32(2) * uniform - np.float32(1)) * bound).view(like.shape)


def reference_gradients(network: Network) -> dict[str, Tensor]:
    """Gradients of a network's parameters in the original's names and layouts."""
    parameters = dict(network.named_parameters())
    return {
        pair.theirs: pair.write(gradient)
        for pair in key_map(network)
        if (gradient := parameters[pair.ours].grad) is not None
    }


def plain_gradients(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


def dense_matrix(graph: SequenceGraph, batch: int) -> Tensor:
    """``[b, t v, t v]`` by which :meth:`SequenceGraph.spread` multiplies, row = destination."""
    t, v = graph.degree.shape[1:]
    basis = torch.eye(t * v, dtype=graph.degree.dtype).view(t, v, t * v).expand(batch, -1, -1, -1)
    return graph.spread(basis).reshape(batch, t * v, t * v)


def open_adjacency(closed: Tensor) -> Tensor:
    return closed - torch.eye(len(closed), dtype=closed.dtype)


def rows(x: Tensor) -> Tensor:
    """``[b, t, v c] -> [b, t, v, c]`` for skeletons in the plane."""
    return x.unflatten(2, (-1, 2))


def replay_attention(golden: Golden) -> None:
    weights, x = golden.under("weights/"), golden["in/x"].requires_grad_()
    attention = SelfAttention(x.shape[2], int(golden.config["heads"]))
    names = {"weight": "gamma"}
    for ours, theirs in (("query", "w_q"), ("key", "w_k"), ("value", "w_v"), ("out", "linear2")):
        names |= {f"{ours}.{leaf}": f"{theirs}.{leaf}" for leaf in ("weight", "bias")}
    attention.load_state_dict({ours: weights[theirs] for ours, theirs in names.items()})
    output, average = attention.with_map(x)
    golden.check("out/output", output)
    golden.check("out/attn_avg", average)
    ((output * golden["in/cot_output"]).sum() + (average * golden["in/cot_attn"]).sum()).backward()
    assert x.grad is not None
    golden.check_gradient("grad/x", x.grad)
    golden.check_gradients({names[name]: gradient for name, gradient in plain_gradients(attention).items()})
    golden.check("out/output", attention(x))


def replay_adjacency(golden: Golden) -> None:
    attention, kept = golden["in/attn"].requires_grad_(), int(golden.config["k"])
    pruned = prune_row(attention, kept)
    golden.check("out/pruned", pruned)
    graph = SequenceGraph.by_columns(pruned, open_adjacency(golden["in/A_bar"]))
    golden.check("out/col_degree", graph.degree)
    golden.check("out/a_norm", dense_matrix(graph, len(attention)).mT)
    golden.check("out/a_norm", dense.dense_graph(attention, golden["in/A_bar"], kept))
    left, right = (
        golden[f"in/cot_{side}"].view(len(attention), attention.shape[1], -1, 1) for side in ("left", "right")
    )
    (graph.spread(left) * right).sum().backward()
    assert attention.grad is not None
    golden.check_gradient("grad/attn_tril", attention.grad.tril())


def replay_graph_conv(golden: Golden) -> None:
    weights, x, pruned = golden.under("weights/"), golden["in/x"].requires_grad_(), golden["in/pruned"].requires_grad_()
    _, c_in, t, v = x.shape
    c_out = len(weights["conv.bias"])
    layer = GraphConv(c_in, c_out, joints=v, length=t, node_mixing="dense")
    state = {"linear.weight": weights["conv.weight"].flatten(1), "linear.bias": weights["conv.bias"]}
    layer.load_state_dict(state | {f"nodes.{leaf}": weights[f"w.{leaf}"] for leaf in ("weight", "bias")})
    closed = golden.tensors.get("in/A_bar")
    adjacency = neighbours(H36M15) if closed is None else open_adjacency(closed)
    graph = SequenceGraph.by_columns(pruned, adjacency)
    y = layer(x.permute(0, 2, 3, 1)[:, :, :, None], graph)[:, :, :, 0].permute(0, 3, 1, 2)
    golden.check("out/y", y)
    (y * golden["in/cot"]).sum().backward()
    assert x.grad is not None
    assert pruned.grad is not None
    golden.check_gradient("grad/x", x.grad)
    golden.check_gradient("grad/pruned", pruned.grad)
    assert layer.nodes is not None
    golden.check_gradients(
        {
            "conv.weight": layer.linear.weight.grad[..., None, None],
            "conv.bias": layer.linear.bias.grad,
            "w.weight": layer.nodes.weight.grad,
            "w.bias": layer.nodes.bias.grad,
        }
    )


def replay_generator(golden: Golden) -> None:
    kept, noise, start, label = int(golden.config["k"]), golden["noise/gauss"], golden["noise/init"], golden["in/label"]
    state: State = golden.under("weights/")
    if not state:
        made = Generator(
            H36M15,
            2,
            label.shape[1],
            length=noise.shape[1],
            options=variant_options("reference", kept=kept),
            noise=noise.shape[2],
            hidden=start.shape[1],
        )
        state = formula_state(export_reference(made), int(golden.config["hash_seed"]))
        for key, probe in golden.under("probe/").items():
            assert torch.equal(state[key].flatten()[: len(probe)], probe), key
    generator = generator_from_reference(state, kept=kept)
    seen = watch(generator)
    fake = generator(noise, label, start)
    golden.check("out/fake", fake.flatten(2))
    for key, value in seen.items():
        golden.check(f"out/{key}", value)
    # the attention of the sequence is fused; its map is not formed in training
    output, average = generator.sequence_attention.with_map(seen["attn1_input"])
    golden.check("out/attn1_avg", average)
    golden.check("out/attn1_output", output)

    plain = dense.DenseGenerator(
        generator.adjacency + torch.eye(len(generator.adjacency)),
        length=noise.shape[1],
        classes=label.shape[1],
        kept=kept,
        noise=noise.shape[2],
        widths=tuple(len(state[f"{key}.bias"]) for key in ("block1.0", "block1.2", "block2.0")),
    )
    plain.load_state_dict(state)
    second = plain(noise, label, start)
    golden.check("out/fake", second)
    if "in/cot" in golden:
        (fake.flatten(2) * golden["in/cot"]).sum().backward()
        golden.check_gradients(reference_gradients(generator))
        (second * golden["in/cot"]).sum().backward()
        golden.check_gradients(plain_gradients(plain))


def watch(generator: Generator) -> dict[str, Tensor]:
    """Fills with what passes through a generator, under the names and in the layouts of the recordings."""
    seen: dict[str, Tensor] = {}

    def graph_layout(x: Tensor) -> Tensor:
        """``[b, t, v, g, c] -> [g b, c, t, v]``."""
        return x.permute(3, 0, 4, 1, 2).flatten(0, 1)

    def keep(name: str, value: Callable[[tuple[Tensor, ...], Tensor], Tensor]) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[name] = value(inputs, output).detach()

        return hook

    stack = generator.stack
    generator.recurrent.register_forward_hook(keep("rnn", lambda _, y: y[0]))
    generator.sequence_attention.register_forward_hook(keep("attn1_input", lambda x, _: x[0]))
    generator.to_pose.register_forward_hook(keep("coords_before_attn2", lambda _, y: y))
    stack.register_forward_hook(keep("w_output", lambda _, y: graph_layout(y)))
    stack.layers[0].register_forward_hook(keep("gc1", lambda _, y: graph_layout(y)))
    inner, hidden = generator.pose_attention.with_map, stack.hidden

    def with_map(x: Tensor) -> tuple[Tensor, Tensor]:
        output, average = inner(x)
        seen.update(attn2_output=output.detach(), attn2_avg=average.detach())
        return output, average

    def states(x: Tensor, graph: SequenceGraph) -> list[Tensor]:
        states = hidden(x, graph)
        seen.update(res3=graph_layout(states[3]).detach(), res5=graph_layout(last_state(stack, states, graph)).detach())
        return states

    generator.pose_attention.with_map = with_map  # type: ignore[method-assign]
    stack.hidden = states  # type: ignore[method-assign]
    return seen


def last_state(stack: GraphStack, states: list[Tensor], graph: SequenceGraph) -> Tensor:
    """The state after the last layer, which a stack in use joins with its head."""
    number = len(stack.layers) - 1
    skip = stack.skip_into(number)
    assert skip is not None
    return stack.layers[number](states[-1], graph) + skip(states[stack.sources[number]])


def replay_critic(golden: Golden) -> None:
    state, x, label = golden.under("weights/"), golden["in/x"].requires_grad_(), golden["in/label"]
    frames = golden.path.stem.startswith("disc_frame")
    critic = (frame_critic_from_reference if frames else clip_critic_from_reference)(state)
    score = critic(rows(x), label).score
    golden.check("out/prob", score.sigmoid())
    loss = nn.functional.binary_cross_entropy_with_logits(score, torch.full_like(score, 0.9))
    golden.check("out/bce_target_0.9", loss)
    loss.backward()
    assert x.grad is not None
    golden.check_gradient("grad/x", x.grad)
    golden.check_gradients(reference_gradients(critic))
    golden.check("out/prob", dense_critic(state, frames=frames)(x, label))


def dense_critic(state: State, *, frames: bool) -> nn.Module:
    widths = [len(state[f"{key}.bias"]) for key in ("block1.0", "block1.2", "block2.0", "block2.2")]
    features, last = state["block1.0.weight"].shape[1], "linear3" if frames else "linear2"
    make = dense.DenseFrameCritic if frames else dense.DenseClipCritic
    critic: nn.Module = make(
        features, state["block2.0.weight"].shape[1] - widths[1], state[f"{last}.weight"].shape[1], widths
    )
    critic.load_state_dict(state)
    return critic


def replay_full_critics(golden: Golden) -> None:
    label, seed = golden["in/label"], int(golden.config["hash_seed"])
    for name, make, size in (("frame", FrameCritic, "frames"), ("video", ClipCritic, "length")):
        x = golden[f"in/x_{name}"]
        options: dict[str, int] = {size: x.shape[1]} | ({"classifier": 1} if name == "video" else {})
        critic = make(x.shape[2] // 2, 2, label.shape[1], **options)
        state = formula_state(export_reference(critic), seed)
        for key, probe in golden.under(f"probe/{name}/").items():
            assert torch.equal(state[key].flatten()[: len(probe)], probe), key
        load_reference(critic, state)
        golden.check(f"out/prob_{name}", critic(rows(x), label).score.sigmoid())
        golden.check(f"out/prob_{name}", dense_critic(state, frames=name == "frame")(x, label))


class Recorded(SAGCN):
    """Takes one recorded step; keeps the gradients that each optimiser is given."""

    golden: Golden

    def training_step(self, batch: MotionBatch, batch_idx: int) -> None:
        golden = self.golden
        self.step(
            batch.joints,
            golden["in/label"],
            golden["noise/gauss"],
            golden["noise/init"],
            real_picks=golden["in/real_frame_idx"],
            fake_picks=golden["in/fake_frame_idx"],
        )

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        super().on_before_optimizer_step(optimizer)
        for network, prefix in ((self.clip_critic, "dis_v."), (self.frame_critic, "dis_i."), (self.generator, "gen.")):
            self.golden.check_gradients(reference_gradients(network), prefix)


def replay_train_step(golden: Golden) -> None:
    real, label, noise = rows(golden["in/real"]), golden["in/label"], golden["noise/gauss"]
    states = {name: golden.under(f"weights/{name}.") for name in ("gen", "dis_v", "dis_i")}
    widths = {
        name: [len(state[f"{key}.bias"]) for key in ("block1.0", "block1.2", "block2.0", "block2.2")]
        for name, state in states.items()
    }
    adam = lambda p: torch.optim.Adam(p, float(golden.config["lr"]), json_pair(golden.config["betas"]))  # noqa: E731
    model = Recorded(
        DatasetInfo(
            "recorded",
            "motion",
            tuple(map(str, range(label.shape[1]))),
            16.0,
            real.shape[1],
            2,
            H36M15,
            normaliser=Normaliser((0.0, 0.0), (1.0, 1.0)),
        ),
        graph=GraphSettings(variant="reference", kept=int(golden.config["k"])),
        generator=GeneratorSettings(noise=noise.shape[2], widths=tuple(widths["gen"][:3])),
        clip_critic=ClipCriticSettings(widths=tuple(widths["dis_v"])),
        frame_critic=FrameCriticSettings(widths=tuple(widths["dis_i"]), frames=len(golden["in/real_frame_idx"])),
        real_target=float(golden.config["label_real"]),
        optimizers=dict.fromkeys(("clip_critic", "frame_critic", "generator"), adam),
    )
    model.golden = golden
    networks: dict[str, Network] = {"gen": model.generator, "dis_v": model.clip_critic, "dis_i": model.frame_critic}
    for name, network in networks.items():
        load_reference(network, states[name])
    golden.check("out/fake", model.generator(noise, label, golden["noise/init"]).flatten(2))
    batch = MotionBatch(real, label.argmax(dim=1), torch.ones(real.shape[:2], dtype=torch.bool))
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, torch.utils.data.DataLoader([batch], batch_size=None))

    for ours, theirs in (("clip_critic", "dv"), ("frame_critic", "di")):
        golden.check_sum(f"out/loss_{theirs}_", ("real", "fake"), model.latest[f"loss/{ours}"])
    golden.check_sum("out/loss_g_", ("video", "frame"), model.latest["loss/generator"])
    for name, network in networks.items():
        mine = {pair.theirs for pair in key_map(network)}
        # what nothing computes with stays as it was
        after = {key: x if key in mine else states[name][key] for key, x in export_reference(network).items()}
        for key in golden.under(f"out/after/{name}."):
            golden.check(f"out/after/{name}.{key}", after[key], atol=STEP_ATOL, rtol=0)
    replay_dense_step(golden, states, widths["gen"][:3])


def replay_dense_step(golden: Golden, states: Mapping[str, State], widths: list[int]) -> None:
    real, label, noise = golden["in/real"], golden["in/label"], golden["noise/gauss"]
    closed = neighbours(H36M15) + torch.eye(H36M15.num_joints)
    generator = dense.DenseGenerator(
        closed, length=real.shape[1], classes=label.shape[1], kept=int(golden.config["k"]), noise=noise.shape[2],
        widths=widths,
    )  # fmt: skip
    generator.load_state_dict(states["gen"])
    clip_critic, frame_critic = (dense_critic(states[f"dis_{x}"], frames=x == "i") for x in ("v", "i"))
    optimizers = [
        torch.optim.Adam(network.parameters(), float(golden.config["lr"]), json_pair(golden.config["betas"]))
        for network in (clip_critic, frame_critic, generator)
    ]
    losses = dense.dense_iteration(
        generator, clip_critic, frame_critic, optimizers, real, label, noise, golden["noise/init"],
        golden["in/real_frame_idx"], golden["in/fake_frame_idx"],
    )  # fmt: skip
    for key, value in losses.items():
        golden.check(f"out/loss_{key}", torch.tensor(value))
    for name, network in (("gen", generator), ("dis_v", clip_critic), ("dis_i", frame_critic)):
        for key, x in network.state_dict().items():
            golden.check(f"out/after/{name}.{key}", x, atol=STEP_ATOL, rtol=0)


def json_pair(text: str) -> tuple[float, float]:
    """``"(0.5, 0.999)"`` as numbers."""
    first, second = text.strip("()[]").split(",")
    return float(first), float(second)


def replay_paper(golden: Golden) -> None:
    weights = {key: x.double() for key, x in golden.under("weights/").items()}
    signal, kept, exact = golden["in/H"].double(), int(golden.config["k"]), {"atol": 1e-10, "rtol": 1e-10}
    adjacency = open_adjacency(golden["in/A_bar"].double())
    query, key, value = (signal @ weights[f"W_{letter}"].mT for letter in "qkv")
    attention = causal_attention(query, key)
    literal = (query @ key.mT).softmax(dim=-1).tril()
    golden.check("out/S", attention, **exact)
    golden.check("out/H_in", attention @ value, **exact)
    golden.check("out/S_literal", literal, **exact)
    golden.check("out/H_in_literal", literal @ value, **exact)

    b, t, v = signal.shape
    x = golden["out/H_in"].double()[..., None]
    prunings = {
        "self_plus_k": prune_past(attention, kept),
        "topk_row": prune_row(attention, kept),
        "k0": prune_past(attention, 0),
        "full": prune_past(attention, t),
    }
    for name, pruned in prunings.items():
        graph = SequenceGraph.by_rows(pruned, adjacency)
        layer = layer_of(weights["W1"], weights["b1"], v, t)
        golden.check(f"out/{name}/S_pruned", pruned, **exact)
        golden.check(f"out/{name}/degree", graph.degree, **exact)
        golden.check(f"out/{name}/propagated", graph.spread(x), **exact)
        golden.check(f"out/{name}/H1", layer(x[..., None], graph).squeeze(3), **exact)
        if (whole := f"out/{name}/A_s_dense") in golden:
            degree = graph.degree.flatten(1)[:, :, None]
            first = len(golden[whole])
            golden.check(whole, (degree * dense_matrix(graph, b))[:first], atol=1e-7)
    alone = SequenceGraph.of_frames(b, t, adjacency)
    golden.check("out/k0/propagated", alone.spread(x), **exact)

    graph = SequenceGraph.by_rows(prune_past(attention, kept), adjacency)
    for activation in ("relu", "none"):
        name = {"relu": "out/stack_relu", "none": "out/stack_linear"}[activation]
        count = sum(key.startswith("gc") and key.endswith(".W") for key in weights)
        widths = [weights[f"gc{number + 1}.W"].shape[1] for number in range(count)]
        stack = GraphStack(1, widths, GraphOptions(activation=activation), joints=v, length=t).double()
        for number, layer in enumerate(stack.layers):
            layer.linear.weight.data = weights[f"gc{number + 1}.W"].mT
            layer.linear.bias.data = weights[f"gc{number + 1}.b"]
        for number in stack.sources:
            stack.skips[str(number)].weight.data = weights[f"skip_{number - 1}_to_{number + 1}"].mT
        stack.head.weight.data = weights["W_out"].mT
        stack.head.bias.data.zero_()
        golden.check(f"{name}/x", stack(x[..., None], graph).flatten(2), **exact)
        states = stack.hidden(x[..., None], graph)
        for number, state in enumerate([*states[1:], last_state(stack, states, graph)]):
            golden.check(f"{name}/H{number + 1}", state.squeeze(3), **exact)


def layer_of(weight: Tensor, bias: Tensor, joints: int, length: int) -> GraphConv:
    layer = GraphConv(*weight.shape, joints=joints, length=length).to(weight.dtype)
    layer.load_state_dict({"linear.weight": weight.mT, "linear.bias": bias})
    return layer


REPLAYS: dict[str, Callable[[Golden], None]] = {
    "attention": replay_attention,
    "adjacency_code": replay_adjacency,
    "graph_conv": replay_graph_conv,
    "generator": replay_generator,
    "disc_full": replay_full_critics,
    "disc": replay_critic,
    "train_step": replay_train_step,
    "sagc_paper_dense": replay_paper,
}


def files(config: pytest.Config) -> Iterator[Path]:
    for path in sorted((config.golden_dir / "sa_gcn").glob("*.safetensors")):  # type: ignore[attr-defined]
        if not path.stem.startswith(ELSEWHERE):
            yield path


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "path" in metafunc.fixturenames:
        absent = pytest.param(None, id="absent", marks=pytest.mark.skip("no recordings of SA-GCN's networks here"))
        metafunc.parametrize("path", list(files(metafunc.config)) or [absent], ids=lambda path: path.stem)


def test_sa_gcn_recording_is_reproduced(path: Path) -> None:
    kind = next((kind for kind in REPLAYS if path.stem.startswith(kind)), None)
    assert kind is not None, f"{path} is of no known kind; known: {', '.join(REPLAYS)}."
    golden = Golden(path)
    REPLAYS[kind](golden)
    assert not golden.unread, f"{path} holds what nothing read: {', '.join(sorted(golden.unread))}."
