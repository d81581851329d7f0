"""GLASS's training: which half moves when, what schedules say, and what a session remembers."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mutoscope.formats.weights import MissingWeightsError
from mutoscope.models.glass.actions import ActionNetwork, ActionSettings
from mutoscope.models.glass.decoder import DecoderSettings
from mutoscope.models.glass.dynamics import DynamicsSettings
from mutoscope.models.glass.global_motion import (
    GlobalMotionSettings,
    InpaintingSettings,
    MaskSettings,
    ShiftSettings,
    translate,
)
from mutoscope.models.glass.local_motion import EncoderSettings, LocalMotionSettings
from mutoscope.models.glass.losses import global_motion_losses, local_motion_losses, weighted
from mutoscope.models.glass.module import Glass
from mutoscope.models.glass.schedules import LinearSchedule
from mutoscope.models.glass.session import from_pixels, to_bytes, to_pixels, to_unit
from mutoscope.structures import DatasetInfo, VideoBatch
from mutoscope.training.trainer import make_trainer

SIZE = (32, 48)
INFO = DatasetInfo(name="made up", kind="video", classes=(), fps=10.0, length=5, channels=3, frame_size=SIZE)
GLOBAL = GlobalMotionSettings(
    MaskSettings(stem=4, trunk=6, up=4, depth=1), InpaintingSettings(4, 5, 6), ShiftSettings((4, 5, 6, 7), (6, 5))
)
LOCAL = LocalMotionSettings(
    EncoderSettings(4, 5, 6, state=6),
    ActionSettings(codes=3, code_size=4),
    DynamicsSettings(4, 5),
    DecoderSettings(8, 6, 5),
)
ADAM = partial(torch.optim.Adam, lr=1e-3, weight_decay=1e-6)


def model(seed: int = 0, **settings: Any) -> Glass:
    torch.manual_seed(seed)
    chosen: dict[str, Any] = {
        "optimizers": {"global_motion": ADAM, "local_motion": ADAM},
        "global_motion": GLOBAL,
        "local_motion": LOCAL,
        "length": LinearSchedule(3, 5, 2, 2),
        "teacher_forced": LinearSchedule(2, 1, 0, 3),
        "pretraining": 1,
        "perceptual": "none",
    }
    return Glass(INFO, **(chosen | settings))


def batch(seed: int = 0, clips: int = 2, length: int = 5) -> VideoBatch:
    random = torch.Generator().manual_seed(seed)
    frames = torch.randint(0, 256, (clips, length, 3, *SIZE), generator=random, dtype=torch.uint8)
    return VideoBatch(frames=frames, names=tuple(map(str, range(clips))))


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., Glass]:
    """Train on batches and hand the model back."""

    def fitted(module: Glass, batches: list[VideoBatch]) -> Glass:
        trainer = make_trainer(
            max_steps=len(batches), callbacks=[], loggers=[], run_dir=str(tmp_path), accelerator="cpu", progress=False
        )
        trainer.fit(module, torch.utils.data.DataLoader(batches, batch_size=None))  # type: ignore[arg-type]
        return module

    return fitted


def weights(module: Glass) -> dict[str, Tensor]:
    return {name: x.detach().clone() for name, x in module.network.state_dict().items()}


def moved(before: dict[str, Tensor], after: dict[str, Tensor], part: str) -> bool:
    return any(not torch.equal(before[name], after[name]) for name in before if name.startswith(part))


def test_pretraining_leaves_local_motion_analysis_alone(fit: Callable[..., Glass]) -> None:
    module = model(pretraining=2)
    before = weights(module)
    fit(module, [batch(), batch(1)])
    after = weights(module)
    assert moved(before, after, "global_motion.")
    assert not moved(before, after, "local_motion.")
    assert "loss/local_motion" not in module.latest
    decayed = fit(model(pretraining=2, decay_untrained=True), [batch(), batch(1)])
    shrunk = weights(decayed)
    name = "local_motion.actions.quantiser.codes"
    assert (shrunk[name].abs() < before[name].abs()).float().mean() > 0.9


@pytest.mark.parametrize("trained", ["both", "global_motion", "local_motion"])
def test_only_what_is_trained_moves(fit: Callable[..., Glass], trained: str) -> None:
    module = model(trained=trained, pretraining=0)
    before = weights(module)
    fit(module, [batch()])
    after = weights(module)
    for half in ("global_motion", "local_motion"):
        assert moved(before, after, f"{half}.") == (trained in ("both", half))


def test_two_optimisers_do_what_one_does(fit: Callable[..., Glass]) -> None:
    module = fit(model(pretraining=0), [batch()])
    alone = model(pretraining=0).network.train()
    optimizer = ADAM(alone.parameters())
    frames = to_unit(batch().frames[:, :3])
    found, drawn = alone(frames, 2)
    of_global = global_motion_losses(found, module.global_weights, None)
    of_local = local_motion_losses(drawn, module.local_weights, None)
    total = weighted(of_global, module.global_weights) + weighted(of_local, module.local_weights)
    total.backward()
    optimizer.step()
    together = module.network.state_dict()
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(together[name], value, atol=1e-6, rtol=1e-5)


def test_schedules_reach_the_networks(fit: Callable[..., Glass], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    module = model(quantised=LinearSchedule(0.0, 1.0, 1, 2))
    draw = module.network.draw

    def noted(found: Any, teacher_forced: int, temperature: float, quantised: float) -> Any:
        seen.append((module.iterations, found.frames.shape[1], teacher_forced, quantised))
        return draw(found, teacher_forced, temperature, quantised)

    monkeypatch.setattr(module.network, "draw", noted)
    fit(module, [batch(i) for i in range(5)])
    # pretraining is one iteration; 3 frames allow two steps
    assert seen == [(1, 3, 2, 0.0), (2, 3, 2, 0.5), (3, 4, 1, 1.0), (4, 5, 1, 1.0)]


def test_gradients_that_are_no_numbers_are_replaced_and_counted(
    fit: Callable[..., Glass], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = model()
    weight = module.network.global_motion.mask.head.weight
    weight.register_hook(lambda gradient: gradient.index_fill(3, torch.tensor([0]), torch.nan))
    fit(module, [batch()])
    assert module.latest["health/gradients_replaced"] == weight.numel() / 3
    assert all(bool(p.isfinite().all()) for p in module.parameters())


def test_actions_in_use_are_counted_from_one_to_all(fit: Callable[..., Glass]) -> None:
    module = fit(model(pretraining=0), [batch()])
    assert 1 <= module.latest["health/actions_used"] <= LOCAL.actions.codes + 1e-5


@pytest.mark.parametrize("conditioning", ["modulated", "joint", "concatenated"])
def test_steps_taken_together_equal_steps_one_by_one(conditioning: Any) -> None:
    local = replace(LOCAL, dynamics=replace(LOCAL.dynamics, conditioning=conditioning, noise=2))
    network = model(local_motion=local).network.local_motion.double().eval()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 4, SIZE[0] // 8, SIZE[1] // 8, dtype=torch.float64, generator=generator)
    codes, shifts = (torch.randn(2, 4, n, dtype=torch.float64, generator=generator) for n in (4, 2))
    together, memory = network.dynamics.along(network.dynamics.initial(2), x, codes, shifts)
    state = network.dynamics.initial(2)
    for step in range(4):
        alone, state = network.dynamics(state, x[:, step], codes[:, step], shifts[:, step])
        torch.testing.assert_close(together[:, step], alone, atol=1e-6, rtol=1e-6)
    for ours, theirs in zip(memory, state, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("teacher_forced", [1, 2, 4])
def test_what_was_looked_at_on_the_way_is_not_looked_at_again(teacher_forced: int) -> None:
    network = model().network.eval()
    found = network.global_motion(to_unit(batch(1).frames))
    drawn = network.draw(found, teacher_forced)
    again, _ = network.local_motion.encoder(drawn.drawn.full.flatten(0, 1))
    torch.testing.assert_close(drawn.drawn_states.flatten(0, 1), again)


def test_norms_see_steps_one_by_one_or_all_at_once() -> None:
    counted = {}
    for over_time in (False, True):
        network = model(local_motion=replace(LOCAL, bn_over_time=over_time)).network.train()
        found = network.global_motion(to_unit(batch(2).frames))
        drawn = network.draw(found, 3)
        drawn.drawn_states.square().mean().backward()
        counted[over_time] = [
            int(network.local_motion.dynamics.lstm_norms[0].num_batches_tracked),
            int(network.local_motion.encoder.stem_norm.num_batches_tracked),
        ]
        assert all(p.grad is not None for p in network.local_motion.dynamics.parameters())
    # three steps and one that sees what was drawn; foregrounds, moved ones, that one, and all that were drawn
    assert counted == {False: [4, 4], True: [2, 4]}


@pytest.mark.parametrize("unroll", ["autoregressive", "teacher_forced"])
def test_generated_clips_begin_with_the_given_frame(unroll: str) -> None:
    module, clips = model().eval(), batch()
    sample = module.generate(clips, unroll=unroll)  # type: ignore[arg-type]
    assert sample.fake.shape == clips.frames.shape
    assert sample.fake.dtype == torch.uint8
    assert torch.equal(sample.fake[:, 0], clips.frames[:, 0])
    assert sample.masks.shape == (2, 5, 1, *SIZE)
    assert sample.actions.shape == (2, 4)
    again = module.generate(clips, unroll=unroll)  # type: ignore[arg-type]
    assert torch.equal(sample.fake, again.fake)


@pytest.mark.parametrize("window", [None, (16, 32)])
@pytest.mark.parametrize("carry", [False, True])
def test_the_first_step_is_the_same_in_both_unrolls_and_in_a_session(
    carry: bool, window: tuple[int, int] | None
) -> None:
    local = replace(LOCAL, decoder=DecoderSettings(8, 6, 5, carry=carry), window=window)
    module, clips = model(local_motion=local).eval(), batch()
    near, real = (module.generate(clips, unroll=u) for u in ("autoregressive", "teacher_forced"))  # type: ignore[arg-type]
    assert (near.fake[:, 1].int() - real.fake[:, 1].int()).abs().max() <= 1
    decoded = module.decode(clips.frames)
    played = module.play(clips, decoded.actions, decoded.shifts, decoded.background_shifts)
    difference = (played.fake.int() - near.fake.int()).abs().float()
    # nearest sampling of the background may fall on either side of a pixel
    assert difference.mean() < 0.5
    assert torch.equal(decoded.actions, near.actions)
    torch.testing.assert_close(decoded.confidence.sum(-1), torch.ones(2, 4))


def test_a_decoder_that_carries_all_moves_the_first_picture_as_it_is() -> None:
    module = model(local_motion=replace(LOCAL, decoder=DecoderSettings(8, 6, 5, carry=True))).eval()
    decoder = module.network.local_motion.decoder
    with torch.no_grad():
        decoder.full_head.weight.zero_()
        # nothing new, and all of the first picture, from where it is
        neighbours = 7 * 7
        decoder.full_head.bias.zero_()
        decoder.full_head.bias[neighbours + neighbours // 2] = 100
        decoder.full_head.bias[-1] = -100
    clips = batch()
    session = module.start(clips.frames[:, 0])
    before = session.save()
    for _ in range(3):
        session.step(4, -2, 0)
    moved = translate(before.first, from_pixels(torch.tensor([[12.0, -6.0]]), SIZE).expand(2, -1), outside="zeros")
    torch.testing.assert_close(session.save().mask, moved[:, 3:], atol=1e-3, rtol=0)
    torch.testing.assert_close(session.save().foreground, moved[:, :3], atol=1e-3, rtol=0)


def test_sessions_keep_apart_go_back_and_come_again() -> None:
    module = model().eval()
    first, second = module.start(batch().frames[0, 0]), module.start(batch(1).frames[:, 0])
    a = first.step(3, -2, 1)
    second.step(0, 0, 0)
    assert a.shape == (3, *SIZE)
    saved = first.save()
    b = first.step(0, 0, 2, camera=(4, 0))
    assert torch.equal(first.undo(), a)
    assert torch.equal(first.step(0, 0, 2, camera=(4, 0)), b)
    assert torch.equal(first.restore(saved), a)
    assert torch.equal(first.step(0, 0, 2, camera=(4, 0)), b)
    alone = module.start(batch().frames[0, 0])
    alone.step(3, -2, 1)
    assert torch.equal(alone.step(0, 0, 2, camera=(4, 0)), b)
    # a moment holds all that is shown, also what lies behind the agent: it goes on in a session of another picture
    other = module.start(255 - batch().frames[0, 0])
    assert torch.equal(other.restore(saved), a)
    assert torch.equal(other.step(0, 0, 2, camera=(4, 0)), b)
    assert not torch.equal(other.undo(2), a)
    with pytest.raises(ValueError, match="The moment is of frames"):
        module.start(batch().frames[0, :2]).restore(saved)
    for action in (0.5, float("nan"), -1):
        with pytest.raises(ValueError, match="There is no local action"):
            first.step(0, 0, action)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected pixels right and down"):
        first.step(0, 0, 0, camera=(1, 2, 3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="9 steps are to be undone"):
        first.undo(9)
    with pytest.raises(ValueError, match="There is no local action"):
        first.step(0, 0, 3)
    with pytest.raises(ValueError, match="expected finite numbers"):
        first.step(float("nan"), 0, 0)
    with pytest.raises(ValueError, match=r"expected uint8 of \[3, 32, 48\]"):
        module.start(torch.zeros(3, 16, 16))


def test_pixels_and_half_extents() -> None:
    shifts = torch.tensor([[3.0, -2.0]])
    assert torch.equal(to_pixels(from_pixels(shifts, SIZE), SIZE), shifts)
    image = torch.rand(1, 3, *SIZE)
    moved_image = translate(image, from_pixels(shifts, SIZE), outside="zeros")
    torch.testing.assert_close(moved_image[..., :-2, 3:], image[..., 2:, :-3])
    assert to_bytes(torch.tensor([-3.0, -1.0, 0.0, 1.0, 7.0])).tolist() == [0, 0, 128, 255, 255]
    frames = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_bytes(to_unit(frames)), frames)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": LinearSchedule(3, 6)}, "Clips of up to 6 frames are to be used, but the dataset's have 5"),
        ({"length": LinearSchedule(1, 5)}, "expected at least 2 frames"),
        ({"perceptual": "vgg"}, "perceptual is 'vgg', expected one of vgg19, squeezenet, none"),
        ({"trained": "none"}, "trained is 'none', expected one of both"),
        (
            {"global_motion": GlobalMotionSettings(trimmed=0.3)},
            "trimmed is 0.3 with trained=both; expected .* one after",
        ),
        ({"global_motion": GlobalMotionSettings(trimmed=0), "trained": "local_motion"}, "trimmed is 0 with"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(**settings)


def test_weights_of_the_perceptual_network_are_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingWeightsError, match=r"model\.perceptual=none needs no file"):
        Glass.check_settings({"perceptual": "vgg19"})
    Glass.check_settings({"perceptual": "none"})


@pytest.mark.parametrize("conditioning", ["joint", "concatenated"])
@pytest.mark.parametrize(("quantiser", "directions"), [("gumbel", "bilinear"), ("vq", "plain")])
def test_variants_learn(fit: Callable[..., Glass], conditioning: Any, quantiser: Any, directions: Any) -> None:
    local = LocalMotionSettings(
        LOCAL.encoder,
        ActionSettings(3, 4, quantiser, directions),
        DynamicsSettings(4, 5, noise=2, conditioning=conditioning),
        LOCAL.decoder,
    )
    module = model(local_motion=local, pretraining=0)
    before = weights(module)
    fit(module, [batch()])
    after = weights(module)
    assert moved(before, after, "local_motion.actions.quantiser.codes")
    assert moved(before, after, "local_motion.actions.project")


def test_what_is_told_of_an_action_goes_from_the_direction_to_its_code() -> None:
    torch.manual_seed(0)
    actions = ActionNetwork(ActionSettings(codes=3, code_size=4), 6)
    before, after = torch.randn(2, 8, 6, 4, 4)
    told = {share: actions.train()(before, after, quantised=share) for share in (0.0, 0.5, 1.0)}
    nearest = actions.codes[told[0.0].index]
    torch.testing.assert_close(told[1.0].code, nearest)
    # the direction itself but for its noise, 0.3 of a standard deviation
    assert 0.1 < (told[0.0].code - told[0.0].projected).std() < 0.6
    assert (told[0.5].code - (nearest + told[0.5].projected) / 2).std() < 0.3
    # who watches and steers has codes alone
    shown = actions.eval()(before, after, quantised=0.0)
    torch.testing.assert_close(shown.code, actions.codes[shown.index])
    with pytest.raises(ValueError, match="quantised goes from 0 to 2"):
        model(quantised=LinearSchedule(0.0, 2.0, 0, 1))
