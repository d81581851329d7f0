"""Replay the recorded runs of the original AG2Vid with the naive implementation that benchmarks compare with."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ag2vid_naive as naive
import pytest
import torch
from recorded import Recorded
from torch import Tensor, nn


class Golden(Recorded):
    """A recorded run of the original."""

    def check(self, key: str, found: Tensor, atol: float = 1e-4, rtol: float = 1e-4) -> None:
        self.compare(key, found, atol=atol, rtol=rtol)


def sizes_of(config: dict[str, Any], state: dict[str, Tensor]) -> Any:
    tables = [key for key in state if re.search(r"(?:^|acts_to_objs\.module\.)attribute_embedding\.att_emb_\d+", key)]
    critic_layers = len({m[1] for key in state if (m := re.match(r"gconvs\.(\d+)\.", key))})
    return naive.NaiveSizes(
        attributes=[len(state[key]) for key in sorted(tables)],
        predicates=config["num_predicates"],
        actions=config["num_actions"],
        predicate_padding=config["predicate_padding"],
        action_padding=config["action_padding"],
        width=config["embedding_dim"],
        hidden=config["gconv_hidden_dim"],
        layers=config["gconv_num_layers"],
        only_actions=bool(config["only_temporal"]),
        flow_width=config["nff"],
        flow_downsampling=config["n_downsample_F"],
        flow_blocks=config["n_blocks_F"],
        flow_scale=config["flow_multiplier"],
        ngf=config["ngf"],
        spade_hidden=config["spade_hidden"],
        upsampling=config["num_upsampling_layers"],
        critic_layers=critic_layers or 2,
        ndf=config["ndf"],
        patch_layers=config["n_layers_D"],
        scales=config["num_D"],
        loss_weights={
            "adversarial": config["discriminator_img_loss_weight"],
            "matching": config["lambda_feat"],
            "flow": config["lambda_F_warp"],
            "layout": config["bbox_pred_loss_weight"],
        },
    )


def generator_of(golden: Golden) -> nn.Module:
    generator = naive.NaiveGenerator(sizes_of(golden.config, golden.under("weights/")))
    generator.load_state_dict(golden.under("weights/"))
    return generator.eval()


def critic_of(golden: Golden) -> nn.Module:
    critic = naive.NaiveDiscriminator(sizes_of(golden.config, golden.under("weights/")))
    critic.load_state_dict(golden.under("weights/"))
    return critic.eval()


def batch_of(golden: Golden) -> Any:
    return naive.PaddedBatch(
        *(golden[f"in/{name}"] for name in ("imgs", "objs", "boxes_gt", "triplets", "actions"))
    )  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for kind in ("discriminator", "full_model", "model_losses"):
        if f"{kind}_file" in metafunc.fixturenames:
            found = sorted((metafunc.config.golden_dir / "ag2vid").glob(f"{kind}*.safetensors"))
            missing = pytest.param(None, marks=pytest.mark.skip(f"no recorded {kind}"))
            metafunc.parametrize(f"{kind}_file", found or [missing], ids=lambda path: path.stem if path else "none")


@torch.no_grad()
def test_generator(full_model_file: Path) -> None:
    golden = Golden(full_model_file)
    generator, batch = generator_of(golden), batch_of(golden)
    step, tolerance = golden.config.get("subsample", 1), {"atol": 1e-3, "rtol": 1e-3}
    runs = {
        "train": generator(batch, use_gt=True, given_previous=not golden.config["bp_prev"]),
        "gtl": generator(batch, use_gt=True, given_previous=False),
        "pred": generator(batch, use_gt=False, given_previous=False),
    }
    length = batch.boxes.shape[1]
    train = runs["train"]
    golden.check("out/appearance/obj_vecs", train["obj_vecs"])
    golden.check("out/appearance/internal_boxes", train["internal_boxes"])
    golden.check("out/actions/progress", naive.progress(batch.actions, length))
    golden.check("out/step1/attr", train["attr"])
    golden.check("out/step1/seg_prev_sub8", train["maps"][:, 0, :, ::8, ::8])
    golden.check("out/step1/seg_cur_sub8", train["maps"][:, 1, :, ::8, ::8])
    golden.check("out/step1/fused_sub8", train["fused"][:, 0, :, ::8, ::8])
    for key in list(golden.unread):
        match = re.fullmatch(r"out/(train|gtl|pred|step1)/(imgs|flow|boxes|warped|residual|conf)(_sub)?", key)
        if match is None:
            continue
        found = train[match[2]][:, 0] if match[1] == "step1" else runs[match[1]][match[2]]
        found = found[..., ::step, ::step] if match[3] else found
        if match[2] == "conf":  # a flag may flip at the threshold
            golden.unread.discard(key)
            assert (found == golden[key]).float().mean() > 0.99
        else:
            golden.check(key, found, **tolerance)
    assert golden.unread <= {"out/actions/locs", "out/actions/temporal_triplets"}


@torch.no_grad()
def test_discriminator(discriminator_file: Path) -> None:
    """The recorded clocks are turned back into actions, so that the plain discriminator can be asked."""
    golden = Golden(discriminator_file)
    critic, progress = critic_of(golden), golden["in/progress"]
    frames = progress.shape[1]
    # at a single frame any slope will do
    slope = progress[:, 1] - progress[:, 0] if frames > 1 else torch.zeros_like(progress[:, 0])
    start, end = progress[:, 0] - slope, progress[:, 0] + frames * slope - 1e-6
    triplets, padding = golden["in/temporal_triplets"], golden.config["action_padding"]
    rows = triplets.min(dim=1).values
    assert (triplets[..., 1].amax(dim=1) <= padding).all()
    actions = torch.cat([rows.float(), start[..., None], end[..., None], golden["in/locs"][:, 0]], dim=2)
    boxes, real = golden["in/boxes"], golden["in/imgs_real"]
    boxes = torch.cat([boxes[:, :1], boxes], dim=1)
    for which, imgs in (("real", real), ("fake", real.flip(-1))):
        for scale, features in enumerate(critic(imgs, golden["in/objs"], boxes, actions)):
            for layer, feature in enumerate(features):
                for key in list(golden.unread):
                    match = re.fullmatch(rf"out/{which}/scale{scale}/feat{layer}(?:_sub(\d+))?", key)
                    if match is not None:
                        step = int(match[1] or 1)
                        golden.check(key, feature[..., ::step, ::step])
    assert golden.unread == {"out/obj_vecs"}


def _norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    return torch.stack([p.grad.norm() if p.grad is not None else torch.zeros(()) for p in parameters]).norm()


def _only(prefix: str, network: nn.Module) -> list[nn.Parameter]:
    return [p for name, p in network.named_parameters() if name.startswith(prefix)]


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_losses_and_gradients(model_losses_file: Path, mode: str) -> None:
    golden = Golden(model_losses_file)
    if golden.config["gan_mode"] != "hinge":
        pytest.skip(f"The naive losses are hinge losses; these were recorded with '{golden.config['gan_mode']}'.")
    full, of_critic = (
        Golden(model_losses_file.with_name(model_losses_file.name.replace("model_losses", name)))
        for name in ("full_model", "discriminator")
    )
    generator, critic, batch = generator_of(full), critic_of(of_critic), batch_of(full)
    sizes = sizes_of(golden.config, full.under("weights/"))
    generator.train(mode == "train")
    critic.train(mode == "train")
    found = generator(batch, given_previous=not golden.config["bp_prev"])
    losses = naive.naive_generator_losses(sizes, critic, batch, found, align_corners=False)
    total = torch.stack(list(losses.values())).sum()
    layout = naive.naive_layout_loss(found["boxes"], batch, sizes.loss_weights["layout"])
    judged = naive.naive_discriminator_losses(sizes, critic, batch, found["imgs"])
    out = f"out/{mode}"
    for key, value in {
        "GAN_Img": losses["adversarial"],
        "GAN_Feat": losses["matching"],
        "loss_F_Warp": losses["flow"],
        "total_loss": total,
        "D_img_fake": judged["fake"],
        "D_img_real": judged["real"],
        "total_img_loss": judged["fake"] + judged["real"],
        "bbox_pred": layout,
    }.items():
        golden.check(f"{out}/{key}", value)
    if mode == "eval":
        return
    step = golden.config.get("subsample", 1)
    key = "out/train/imgs_sub" if "out/train/imgs_sub" in golden else "out/train/imgs"
    shown = found["imgs"][..., ::step, ::step] if key.endswith("_sub") else found["imgs"]
    golden.check(key, shown, atol=1e-3, rtol=1e-3)
    video = "layout_to_video.module."
    golden.check("out/train/bn_running_mean_after/fuse", generator.state_dict()[f"{video}conv_dim_in.0.1.running_mean"])
    total.backward()
    near = {"atol": 1e-6, "rtol": 1e-2}
    appearance = "acts_to_objs.module."
    for key, prefix in {
        "acts_to_boxes": "acts_to_boxes.",
        "acts_to_objs": appearance,
        "acts_to_objs_attr": f"{appearance}attribute_embedding.",
        "acts_to_objs_box_net": f"{appearance}box_net.",
        "fgf_attr": f"{video}attribute_embedding.",
        "flow": f"{video}flows_network.",
        "fuse": f"{video}conv_dim_in.",
        "netG": f"{video}netG.",
    }.items():
        golden.check(f"out/train/gradnorm_G/{key}", _norm(_only(prefix, generator)), **near)
    critic.zero_grad()
    (judged["fake"] + judged["real"]).backward()
    for key, prefix in {"all": "", "attr": "attribute_embedding.", "fc": "fc_objs_vecs.", "gconvs": "gconvs."}.items():
        golden.check(f"out/train/gradnorm_D/{key}", _norm(_only(prefix, critic)), **near)
    for key in [key for key in golden.unread if key.startswith("out/train/gradnorm_D/scale")]:
        golden.check(key, _norm(_only(f"discriminator_{key[len('out/train/gradnorm_D/scale') :]}.", critic)), **near)
    layout.backward()
    golden.check("out/train/gradnorm_graph", _norm(_only("acts_to_boxes.", generator)), **near)
    assert not [key for key in golden.unread if key.startswith("out/train/")]
