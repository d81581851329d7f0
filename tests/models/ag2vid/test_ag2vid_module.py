"""AG2Vid as a whole: what its losses move, what generation may look at, and what is kept."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mutoscope.config.nodes import build
from mutoscope.formats.weights import MissingWeightsError
from mutoscope.models.ag2vid.module import AG2Vid
from mutoscope.structures import (
    CATER_VOCABULARY,
    ActionGraphBatch,
    ActionGraphPair,
    ClockedGraph,
    DatasetInfo,
    Normaliser,
)
from mutoscope.training.trainer import make_trainer

INFO = DatasetInfo(
    name="made_up",
    kind="action_graph",
    classes=CATER_VOCABULARY.action_names,
    fps=8.0,
    length=4,
    channels=3,
    units="frame",
    normaliser=Normaliser((120.0, 110.0, 100.0), (60.0, 55.0, 50.0)),
    frame_size=(32, 32),
    vocabulary=CATER_VOCABULARY,
)
SMALL: dict[str, Any] = {
    "width": 8,
    "graph_hidden": 16,
    "frames.flow.width": 4,
    "frames.spade.width": 4,
    "frames.spade.hidden": 8,
    "discriminator.width": 8,
    "frames.perceptual": "discriminator",
}
FLOW_ALONE: dict[str, Any] = {"discriminator": None, "frames.perceptual": "none"}


def clip(seed: int, length: int = 4, actions: int = 2) -> ActionGraphBatch:
    """A random clip of three objects."""
    random = torch.Generator().manual_seed(seed)
    sizes = torch.tensor(CATER_VOCABULARY.sizes)
    attributes = 1 + (torch.rand(4, 4, generator=random) * (sizes - 1)).long()
    attributes[-1] = 0
    things = torch.arange(3)
    graph = ClockedGraph(
        attributes=attributes,
        clip=torch.zeros(4, dtype=torch.long),
        relations=torch.stack([things, torch.zeros_like(things), torch.full_like(things, 3)], dim=1),
        subject=torch.randint(3, (actions,), generator=random),
        action=torch.randint(2, 6, (actions,), generator=random),
        object=torch.randint(3, (actions,), generator=random),
        progress=torch.tensor([[0.0, 1.2]]).repeat(actions, 1),
        destination=torch.rand(actions, 2, generator=random),
        num_clips=1,
    )
    boxes = 0.1 + 0.4 * torch.rand(4, length, 4, generator=random)
    boxes[-1] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    frames = torch.randint(256, (1, length, 3, 32, 32), generator=random, dtype=torch.uint8)
    return ActionGraphBatch(graph, boxes, frames, (f"clip{seed}",))


def clips(count: int = 2, **how: int) -> ActionGraphBatch:
    return ActionGraphBatch.cat([clip(seed, **how) for seed in range(count)])


def pair(count: int = 2, **how: int) -> ActionGraphPair:
    return ActionGraphPair(clips(count, **how), replace(clips(count, length=6, **how), frames=None))


ADAM = partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.999))


def model(settings: dict[str, Any] | None = None, seed: int = 0, optimizer: Any = ADAM) -> AG2Vid:
    """A small one with settings by their places, as they are typed."""
    node: dict[str, Any] = {"_target_": "mutoscope.models.ag2vid.module.AG2Vid"}
    for place, value in {**SMALL, **(settings or {})}.items():
        inner, (*way, last) = node, place.split(".")
        for key in way:
            inner = inner.setdefault(key, {})
        inner[last] = value
    torch.manual_seed(seed)
    factories = dict.fromkeys(("layout", "generator", "discriminator"), optimizer)
    made: AG2Vid = build(node, "model", info=INFO, optimizers=factories)
    return made


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., AG2Vid]:
    """Train on batches and hand the model back."""

    def fitted(module: AG2Vid, batches: list[ActionGraphPair]) -> AG2Vid:
        trainer = make_trainer(
            max_steps=len(batches), callbacks=[], loggers=[], run_dir=str(tmp_path), accelerator="cpu", progress=False
        )
        loader = torch.utils.data.DataLoader(batches, batch_size=None)  # type: ignore[arg-type]
        trainer.fit(module, loader)
        return module

    return fitted


def weights(module: AG2Vid) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def moved(before: dict[str, Tensor], after: dict[str, Tensor], part: str) -> bool:
    return any(not torch.equal(before[name], after[name]) for name in before if part in name)


def test_every_network_learns_from_its_own_losses(fit: Callable[..., AG2Vid]) -> None:
    module = model({"layout.rivals": ["rnn"]})
    before = weights(module)
    fit(module, [pair()])
    after = weights(module)
    for part in ("layouts.gcn", "layouts.rnn", "appearance", "frames.flow", "frames.generator", "discriminator"):
        assert moved(before, after, part), part
    named = {"adversarial", "feature_matching", "flow", "generator", "discriminator", "layouts", "layout_gcn"}
    assert {f"loss/{name}" for name in named} <= set(module.latest)
    assert all(torch.isfinite(value).all() for value in module.latest.values())


def test_layouts_alone_learn_what_they_learn_beside_frames(fit: Callable[..., AG2Vid]) -> None:
    whole, alone = (
        model({"layout.rivals": ["rnn"]}),
        model({"layout.rivals": ["rnn"], "frames": None, "discriminator": None}, seed=1),
    )
    assert [name for name, _ in alone.named_children()] == ["_generator"]
    assert list(alone.networks()) == ["layout"]
    alone.generator.load_state_dict(whole.generator.state_dict(), strict=False)
    before, batches = weights(alone), [pair(), pair(actions=0)]
    fit(whole, batches)
    fit(alone, batches)
    after = weights(alone)
    assert moved(before, after, "layouts.gcn")
    assert moved(before, after, "layouts.rnn")
    whole_after = weights(whole)
    for name, weight in after.items():
        assert torch.equal(weight, whole_after[name]), name
    assert alone.samples_seen == 4
    assert alone.features is None


def test_layouts_alone_hold_the_first_frame_still() -> None:
    module, asked = model({"frames": None, "discriminator": None, "layout.name": "rnn"}).eval(), clips(3)
    assert asked.frames is not None
    sample = module.generate(asked, length=6, batch_size=2)
    assert not sample.drawn
    assert torch.equal(sample.fake, asked.frames[:, :1].expand(-1, 6, -1, -1, -1))
    torch.testing.assert_close(sample.boxes[:, :4], module.lay_out(asked), atol=1e-5, rtol=1e-5)
    assert model().eval().generate(asked).drawn


def test_frame_losses_leave_the_layout_alone_and_the_layout_loss_the_frames() -> None:
    module = model()
    part = module._part(clips())
    module._generator_loss(part).backward()
    generator = module.generator
    assert all(p.grad is None for p in generator.layouts.parameters())
    assert all(p.grad is not None for p in generator.appearance.convolutions.parameters())
    module.zero_grad(set_to_none=True)
    module._layout_loss(clips(length=6)).backward()
    assert any(p.grad is not None for p in generator.layouts.parameters())
    assert all(p.grad is None for p in [*generator.frames.parameters(), *generator.appearance.parameters()])


def test_the_discriminator_learns_from_frames_made_before_the_generator_moved(fit: Callable[..., AG2Vid]) -> None:
    module = model()
    part = module._part(clips())
    module._generator_loss(part)
    assert part.fake is not None
    assert not part.fake.requires_grad
    module._discriminator_loss(part).backward()
    assert all(p.grad is None for p in module.generator.parameters())
    assert module.discriminator is not None
    assert all(p.grad is not None for p in module.discriminator.patches.parameters())


def test_generation_sees_the_first_frame_and_the_first_boxes_only() -> None:
    module = model().eval()
    asked = clips()
    assert asked.frames is not None
    boxes, frames = asked.boxes.clone(), asked.frames.clone()
    boxes[:, 1:] = torch.rand_like(boxes[:, 1:])
    frames[:, 1:] = 0
    blind = replace(asked, boxes=boxes, frames=frames)
    first, second = module.generate(asked), module.generate(blind)
    assert torch.equal(first.fake, second.fake)
    assert torch.equal(first.boxes, second.boxes)
    assert torch.equal(first.fake[:, 0], asked.frames[:, 0])
    assert torch.equal(first.boxes[:, 0], asked.boxes[:, 0])
    for name in ("rule", "copy"):
        assert torch.equal(module.lay_out(asked, name), module.lay_out(blind, name))
    # but true boxes are drawn into where they are asked for
    assert torch.equal(module.generate(asked, layout="ground_truth").boxes, asked.boxes)
    assert not torch.equal(module.generate(blind, layout="ground_truth").fake, first.fake)


def test_an_untrained_model_can_start_from_standing_still() -> None:
    module = model({"still_start": True, "layout.rivals": ["rnn"]}).eval()
    asked = clips()
    restless, still = (m.generator.frames.generator.last.weight for m in (model({"layout.rivals": ["rnn"]}), module))
    torch.testing.assert_close(still, 0.1 * restless)
    for name in ("gcn", "rnn"):
        torch.testing.assert_close(module.lay_out(asked, name), asked.boxes[:, :1].expand_as(asked.boxes))
    module._generator_loss(module._part(asked)).backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in module.generator.frames.flow.flow.parameters())


def test_chunks_do_not_change_what_is_generated() -> None:
    module = model().eval()
    whole, parts = module.generate(clips(3)), module.generate(clips(3), batch_size=2)
    assert (whole.fake.int() - parts.fake.int()).abs().max() <= 1
    torch.testing.assert_close(whole.boxes, parts.boxes)


def test_longer_clips_go_on_at_the_same_pace() -> None:
    module = model().eval()
    short, long = module.generate(clips()), module.generate(clips(), length=9)
    assert long.fake.shape[:2] == (2, 9)
    torch.testing.assert_close(long.boxes[:, :4], short.boxes, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("length", [0, 1, -2])
def test_fewer_than_two_frames_cannot_be_made(length: int) -> None:
    with pytest.raises(ValueError, match=rf"{length} frame\(s\) are asked for, expected at least 2"):
        model().generate(clips(), length=length)


def test_parts_of_a_batch_accumulate_to_the_gradients_of_the_whole() -> None:
    found = []
    for parts in (1, 2):
        module = model({**FLOW_ALONE, "micro_batches": parts, "weights.pixel": 1.0}).eval()
        losses = [module._generator_loss(module._part(c)) for c in module._clips(clips(4))]
        (torch.stack(losses).sum() / parts).backward()
        found.append([p.grad for p in module.generator.frames.parameters() if p.grad is not None])
    for whole, summed in zip(*found, strict=True):
        torch.testing.assert_close(summed, whole, atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize(
    "settings",
    [
        {"frames.previous": "generated"},
        {"frames.previous": "generated", "frames.truncate": 1, "frames.checkpoint_activations": True},
        {"frames.per_frame": True},
        {"frames.appearance_boxes": "layout", "layout.name": "rnn"},
        {"frames.carry_objects": True, "still_start": True},
        FLOW_ALONE,
        {"layout.name": "rule", "discriminator.loss": "cross_entropy", "weights.pixel": 2.0},
        {
            "layout.geometry_gain": 10.0,
            "layout.clip_progress": True,
            "layout.only_actions": True,
            "layout.truncate": 2,
            "layout.beta": 0.0,
        },
        {"micro_batches": 2, "discriminator.carry_state": False, "clip_norm": 1.0, "frames.channels_last": True},
    ],
)
def test_options_train(fit: Callable[..., AG2Vid], settings: dict[str, Any]) -> None:
    module = model(settings)
    before = weights(module)
    fit(module, [pair(), pair()])
    assert moved(before, weights(module), "frames.flow")
    assert all(torch.isfinite(p).all() for p in module.parameters())


@pytest.mark.slow
def test_compiled_networks_do_what_eager_ones_do(fit: Callable[..., AG2Vid], monkeypatch: pytest.MonkeyPatch) -> None:
    # tracing and differentiating is what may go wrong here; the default backend's code generation takes minutes
    compiling, compiled = torch.nn.Module.compile, []

    def trace(network: torch.nn.Module) -> None:
        compiled.append(network)
        compiling(network, backend="aot_eager")

    monkeypatch.setattr(torch.nn.Module, "compile", trace)
    shallow = {"layout.layers": 1, "frames.flow.blocks": 1, "frames.flow.halvings": 1, "discriminator.graph_layers": 1}
    shallow |= {"discriminator.layers": 2, "discriminator.scales": 1}
    plain = partial(torch.optim.SGD, lr=1e-2)
    found = []
    for compile_networks in (False, True):
        module = model({**shallow, "compile_networks": compile_networks}, optimizer=plain)
        found.append(fit(module, [pair()]).state_dict())
    assert {type(network).__name__ for network in compiled} >= {"FrameGeneratingFunction", "ActionDiscriminator"}
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-5)


def test_clips_without_actions_train(fit: Callable[..., AG2Vid]) -> None:
    module = fit(model({"layout.rivals": ["rnn"]}), [pair(actions=0)])
    assert all(torch.isfinite(p).all() for p in module.parameters())


def test_a_gradient_of_the_flow_loss_follows_true_frames_when_own_ones_are_continued() -> None:
    module = model({**FLOW_ALONE, "frames.previous": "generated", "weights.flow": 1.0}).eval()
    part = module._part(clips())
    with torch.no_grad():
        taught = module.generator.teach(part.clips.graph, part.clips.boxes, part.real)
    given = model({**FLOW_ALONE, "weights.flow": 1.0}).eval()
    # the first generated frame continues the true first one in both
    own = module.generator.teach(part.clips.graph, part.clips.boxes, part.real, own=True)
    torch.testing.assert_close(own.frames[:, 0], taught.frames[:, 0], atol=1e-4, rtol=1e-4)
    assert module._generator_loss(part) > 0
    assert given._generator_loss(part) > 0


def test_the_perceptual_network_is_no_part_of_checkpoints(fit: Callable[..., AG2Vid], shared_dir: Path) -> None:
    weights_file = shared_dir / "data" / "lpips_squeeze" / "squeezenet1_1_features.pth"
    module = fit(model({"frames.perceptual": "squeezenet", "frames.perceptual_weights": str(weights_file)}), [pair()])
    assert module.latest["loss/perceptual"] > 0
    assert module.features is not None
    state = module.state_dict()
    assert not [name for name in state if name.startswith("features")]
    model({"frames.perceptual": "squeezenet"}, seed=1).load_state_dict(state)


def test_missing_weights_are_named_before_training(
    fit: Callable[..., AG2Vid], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    with pytest.raises(MissingWeightsError, match=r"vgg19-dcbb9e9d\.pth in .*nothing.* no path was given"):
        fit(model({"frames.perceptual": "vgg19"}), [pair()])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames.perceptual": "vgg"}, "perceptual is 'vgg', expected vgg19, squeezenet, discriminator or none"),
        ({"discriminator": None}, "in the discriminator's features, but there is none"),
        ({"discriminator": False}, r"model\.discriminator is false, expected settings .*; null leaves it out"),
        ({"layout.rivals": ["rule"]}, "rivals names 'rule', which does not learn"),
        ({"layout.rivals": ["gcn"]}, "rivals names 'gcn', the layout itself"),
        ({"layout.name": "cnn"}, r"model\.layout\.name is 'cnn', expected gcn, "),
        ({"layout.name": "rule", "frames": None}, "no frames and the layout 'rule' does not learn, so there is noth"),
        ({"layout.name": "copy", "layout.truncate": 2}, "for layouts that learn, but 'copy' does not"),
        ({"layout.name": "copy", "layout.beta": 0.0}, "for layouts that learn, but 'copy' does not"),
        ({"frames.previous": "true"}, "previous is 'true'"),
        ({"frames.carry_objects": True, "frames.previous": "generated"}, "leave previous=given"),
        ({"frames.carry_objects": True, "frames.follow_boxes": True}, "follow_boxes and carry_objects are both on"),
        ({"frames.per_frame": True, "frames.previous": "generated"}, "per_frame is for given frames"),
        ({"frames.truncate": 2}, "truncate is for generated frames, but previous=given"),
        ({"frames.perceptual_weights": "a.pth"}, "but perceptual=discriminator needs none"),
        ({"frames.appearance_boxes": "own"}, "appearance_boxes is 'own'"),
        (
            {"frames.flow.widht": 3},
            r"frames\.flow\.widht is not a setting of FlowSettings; did you mean 'width'",
        ),
        ({"weights.flow": -1.0}, "cannot be negative"),
        ({"layout.geometry_gain": 0.0}, "clocks is 0.0, expected a positive factor"),
    ],
)
def test_contradictions_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(settings)


def test_an_untrained_layout_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="no trained 'rnn' layout; it has gcn"):
        model().lay_out(clips(), "rnn")
