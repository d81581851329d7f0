"""Time one training step of AG2Vid against a naive implementation of the same arithmetic.

    python tests/benchmarks/bench_ag2vid.py --threads 1 --sizes 64 128 --repeats 3 --json bench.json
    python tests/benchmarks/bench_ag2vid.py --threads 1 --sizes 64 128 --allocator keep

One iteration at the paper's widths for CATER: the frame generator and the discriminator on clips of 4 frames, the
layout function on clips of 16, perceptual loss with VGG-19 (random weights). Fast and naive take turns in one process
and begin with the same weights; CPU seconds are the process's own, since other work may share the machine, and the best
of all rounds counts. Before that, the losses of both and the gradients of all parameters are compared, in double
precision and in evaluation mode: in training, all frames of a mini-batch share batch statistics on the fast side only.
"lean" is the fast version with ``checkpoint_activations`` and ``steps_in_backward``, which trade time for memory.
Peak memory is that of a fresh process per variant, above its imports; the floor is what weights, gradients and Adam's
moments take.

Much of the naive step's time goes into page faults: by default the C library gives every large tensor back to the
system and fetches its pages anew. ``--allocator keep`` tells it to keep them, for both variants alike, which is kinder
to the naive one in time and tells nothing about memory; the default is what a user gets.
"""

import argparse
import ctypes
import platform
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
import torchvision
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from ag2vid_naive import (
    NaiveDiscriminator,
    NaiveGenerator,
    NaiveSizes,
    NaiveTraining,
    PaddedBatch,
    naive_layout_loss,
)
from measuring import best_and_median, devices, in_fresh_process, in_turns, peak_since, resident_peak, write_json

from mutoscope.models.ag2vid.module import AG2Vid, _Part
from mutoscope.models.ag2vid.reference.critic import convert_critic, critic_keys
from mutoscope.models.ag2vid.reference.frames import FRAMES_PREFIX, convert, frames_keys
from mutoscope.models.ag2vid.reference.layout import (
    APPEARANCE_PREFIX,
    LAYOUT_PREFIX,
    convert_layout,
    layout_keys,
    unpad,
)
from mutoscope.models.ag2vid.settings import FrameTraining
from mutoscope.models.step_in_backward import step_in_backward
from mutoscope.nn.perceptual import FrozenFeatures, Vgg19Features
from mutoscope.structures import ActionGraphBatch, ActionGraphPair, DatasetInfo, Normaliser
from mutoscope.structures.vocabulary import CATER_VOCABULARY

BATCH, LENGTH, LAYOUT_LENGTH, OBJECTS, ACTIONS = 2, 4, 16, 7, 4
#: the original's warp; both sides use it
ALIGN_CORNERS = False
#: seconds of the original code on one thread of another machine, 64x64: for orientation only
ORIGINAL = {64: 43.0}
TIME_TARGET, MEMORY_TARGET = 4.0, 3.0
SIZES = NaiveSizes()
IMAGENET = Normaliser((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


@dataclass
class Result:
    """One variant at one size; CPU seconds on a CPU, wall seconds on a GPU; megabytes."""

    size: int
    variant: str
    device: str
    seconds: float
    median_seconds: float
    peak: float | None = None
    floor: float | None = None


# --- the same data and weights for both -------------------------------------------------------------------------------


def clips(size: int, length: int, device: str, seed: int) -> PaddedBatch:
    """Objects that slide, contain and rotate over noise; the last node is the image."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    objs = torch.stack([torch.randint(1, n, (BATCH, OBJECTS), generator=generator) for n in SIZES.attributes], dim=2)
    objs = torch.cat([objs, objs.new_zeros(BATCH, 1, objs.shape[2])], dim=1)
    start, move = uniform(BATCH, 1, OBJECTS, 2) * 0.8, uniform(BATCH, 1, OBJECTS, 2) * 0.2 - 0.1
    time = torch.linspace(0, 1, length)[None, :, None, None]
    extent = (0.1 + 0.15 * uniform(BATCH, 1, OBJECTS, 2)).expand(-1, length, -1, -1)
    boxes = torch.cat([start + time * move, extent], dim=3)
    boxes = torch.cat([boxes, torch.tensor([0.0, 0, 1, 1]).expand(BATCH, length, 1, 4)], dim=2)
    nodes = torch.arange(OBJECTS)
    star = torch.stack([nodes, torch.zeros_like(nodes), torch.full_like(nodes, OBJECTS)], dim=1)
    who = torch.randint(OBJECTS, (BATCH, ACTIONS, 2), generator=generator).float()
    what = torch.randint(2, 6, (BATCH, ACTIONS, 1), generator=generator).float()
    when = torch.cat([uniform(BATCH, ACTIONS, 1) * 0.5 - 0.3, uniform(BATCH, ACTIONS, 1) + 0.5], dim=2)
    actions = torch.cat([who[..., :1], what, who[..., 1:], when, uniform(BATCH, ACTIONS, 2)], dim=2)
    imgs = IMAGENET.normalise(torch.randint(256, (BATCH, length, size, size, 3), generator=generator).float())
    imgs = imgs.movedim(-1, -3).to(torch.get_default_dtype())
    triplets = star.expand(BATCH, length, -1, -1)
    return PaddedBatch(*(x.to(device).contiguous() for x in (imgs, objs, boxes, triplets, actions)))


def graphs(batch: PaddedBatch) -> ActionGraphBatch:
    """The same clips without padding."""
    cpu = (x.cpu() for x in (batch.objs, batch.boxes, batch.triplets, batch.actions))
    graph, boxes = unpad(*cpu, padding_predicate=SIZES.predicate_padding, padding_action=SIZES.action_padding)
    names = tuple(str(i) for i in range(len(batch.objs)))
    frames = IMAGENET.denormalise(batch.imgs.movedim(-3, -1)).movedim(-1, -3).round().to(torch.uint8)
    return ActionGraphBatch(graph, boxes, frames, names).to(batch.imgs.device)


def vgg_weights() -> dict[str, Tensor]:
    with torch.device("meta"):
        shapes = {k: x.shape for k, x in torchvision.models.vgg19(init_weights=False).state_dict().items()}
    generator = torch.Generator().manual_seed(1)
    return {
        key: torch.randn(shape, generator=generator) * (2 / max(shape[1:].numel(), 1)) ** 0.5
        for key, shape in shapes.items()
        if key.startswith("features.")
    }


def plain_vgg() -> FrozenFeatures:
    """torchvision's layers, as they are."""
    with torch.device("meta"):
        layers = torchvision.models.vgg19(init_weights=False).features
    return FrozenFeatures(layers, (1, 6, 11, 20, 29), vgg_weights())


def fresh_naive() -> tuple[NaiveGenerator, NaiveDiscriminator]:
    """New networks whose spectral norms have converged."""
    torch.manual_seed(0)
    generator, critic = NaiveGenerator(SIZES, ALIGN_CORNERS), NaiveDiscriminator(SIZES)
    for module in (*generator.modules(), *critic.modules()):
        if hasattr(module, "weight_u"):
            matrix, u = module.weight_orig.detach().flatten(1), module.weight_u
            for _ in range(10):
                v = nn.functional.normalize(matrix.T @ u, dim=0)
                u = nn.functional.normalize(matrix @ v, dim=0)
            module.weight_u.copy_(u)
            module.weight_v.copy_(v)
    return generator, critic


# --- one step ---------------------------------------------------------------------------------------------------------


class FastTraining(AG2Vid):
    """The package's model with plain optimisers instead of a trainer's, and the naive side's weights."""

    def __init__(
        self,
        size: int,
        generator: NaiveGenerator,
        critic: NaiveDiscriminator,
        features: Vgg19Features,
        lean: bool = False,
    ) -> None:
        info = DatasetInfo(
            name="cater",
            kind="action_graph",
            classes=CATER_VOCABULARY.action_names,
            fps=8,
            length=LENGTH,
            channels=3,
            normaliser=IMAGENET,
            frame_size=(size, size),
            vocabulary=CATER_VOCABULARY,
        )
        adam = partial(torch.optim.Adam, lr=1e-4, betas=(0.5, 0.999), fused=True)
        names = ("layout", "generator", "discriminator")
        super().__init__(
            info,
            optimizers=dict.fromkeys(names, adam),
            frames=FrameTraining(align_corners=ALIGN_CORNERS, checkpoint_activations=lean),
            steps_in_backward=lean,
        )
        self.features = features
        state = generator.state_dict()
        self.generator.layouts["gcn"].load_state_dict(convert_layout(state, LAYOUT_PREFIX))
        self.generator.appearance.load_state_dict(convert_layout(state, APPEARANCE_PREFIX))
        maker = self.generator.frames
        maker.load_state_dict(convert(state, maker, frames_keys(maker), FRAMES_PREFIX))
        self.discriminator.load_state_dict(convert_critic(critic.state_dict(), self.discriminator))
        self.trained = [p for p in self.parameters() if p.requires_grad]

    def _part(self, clips: ActionGraphBatch) -> _Part:
        part = super()._part(clips)
        return replace(part, real=part.real.to(torch.get_default_dtype()))

    def start(self) -> None:
        """Make the optimisers, once the networks are on their device."""
        made, _ = self.configure_optimizers()
        self.plain = dict(zip(self.optimizer_names, made, strict=True))

    def freeze_all_but(self, name: str) -> None:
        moved = {id(p) for network in self.networks()[name] for p in network.parameters()}
        for p in self.trained:
            p.requires_grad_(id(p) in moved)

    def update(self, name: str, losses: Sequence[Callable[[], Tensor]]) -> Tensor:
        self.freeze_all_but(name)
        (loss_of_batch,) = losses
        loss = loss_of_batch()
        with step_in_backward(self.plain[name]) if self.steps_in_backward else nullcontext():
            loss.backward()
        self.plain[name].step()
        self.plain[name].zero_grad()
        for p in self.trained:
            p.requires_grad_(True)
        return loss.detach()


def naive_step(size: int, device: str) -> Callable[[], object]:
    generator, critic = fresh_naive()
    training = NaiveTraining(SIZES, generator.to(device), critic.to(device), plain_vgg().to(device), ALIGN_CORNERS)
    short, longer = clips(size, LENGTH, device, seed=0), clips(1, LAYOUT_LENGTH, device, seed=1)
    return partial(training.iteration, short, longer)


def fast_step(size: int, device: str, *, precision: str = "float32", lean: bool = False) -> Callable[[], None]:
    training = FastTraining(size, *fresh_naive(), Vgg19Features(vgg_weights()), lean).to(device)
    training.start()
    pair = ActionGraphPair(
        frames=graphs(clips(size, LENGTH, device, seed=0)), layout=graphs(clips(1, LAYOUT_LENGTH, device, seed=1))
    )

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            training.training_step(pair, 0)

    return step


def variants(device: str) -> dict[str, Callable[[int, str], Callable[[], object]]]:
    table: dict[str, Callable[[int, str], Callable[[], object]]] = {
        "naive": naive_step,
        "fast": fast_step,
        "lean": partial(fast_step, lean=True),
    }
    if device == "cuda":
        table["fast bf16"] = partial(fast_step, precision="bf16")
    return table


# --- equality ---------------------------------------------------------------------------------------------------------


def compare(size: int) -> dict[str, float]:
    """Largest relative differences between naive and fast, in double precision and evaluation mode, on the CPU.

    Losses are compared one by one, frames and gradients by the norm of their difference over their norm; the gradient
    of each parameter is compared, the worst one reported.
    """
    generator, critic = fresh_naive()
    precision = torch.get_default_dtype()
    fast = FastTraining(size, generator, critic, Vgg19Features(vgg_weights())).to(precision)
    naive = NaiveTraining(SIZES, generator, critic, plain_vgg().to(precision), ALIGN_CORNERS)
    short, longer = clips(size, LENGTH, "cpu", seed=0), clips(1, LAYOUT_LENGTH, "cpu", seed=1)
    for network in (generator, critic, fast):
        network.eval()
    found, terms = naive.generator_losses(short)
    sum(terms.values()).backward()
    critic.zero_grad()
    judged = naive.discriminator_losses(short, found["imgs"])
    on_both = sum(judged.values())
    on_both.backward()
    # the package averages over real objects, the original over all rows
    weight = SIZES.loss_weights["layout"] * (OBJECTS + 1) / OBJECTS
    of_layout = naive_layout_loss(generator.layout(longer), longer, weight)
    of_layout.backward()

    part = fast._part(graphs(short))
    for name, loss_of in (
        ("generator", partial(fast._generator_loss, part)),
        ("discriminator", partial(fast._discriminator_loss, part)),
        ("layout", partial(fast._layout_loss, graphs(longer))),
    ):
        fast.freeze_all_but(name)
        loss = loss_of()
        loss.backward()
        fast.latest[f"loss/of_{name}"] = loss.detach()

    ours, weights = fast.latest, fast.weights
    pairs = {
        "adversarial": (weights.adversarial * ours["loss/adversarial"], terms["adversarial"]),
        "feature matching": (weights.feature_matching * ours["loss/feature_matching"], terms["matching"]),
        "perceptual": (weights.perceptual * ours["loss/perceptual"], terms["perceptual"]),
        "flow": (weights.flow * ours["loss/flow"], terms["flow"]),
        "discriminator": (ours["loss/of_discriminator"], on_both),
        "layout": (ours["loss/of_layout"], of_layout),
        "frames": (part.fake, found["imgs"]),
    }
    errors = {name: _difference(x, y.detach()) for name, (x, y) in pairs.items()}
    return {**errors, "gradients": _gradient_difference(fast, generator, critic)}


def _gradient_difference(fast: FastTraining, generator: NaiveGenerator, critic: NaiveDiscriminator) -> float:
    theirs = {name: p.grad for name, p in (*generator.named_parameters(), *critic.named_parameters())}
    maker, judge = fast.generator.frames, fast.discriminator
    names: list[tuple[nn.Module, dict[str, tuple[str, ...]]]] = [
        (maker, {ours: tuple(FRAMES_PREFIX + name for name in names) for ours, names in frames_keys(maker).items()}),
        (judge, {ours: (name,) for ours, name in critic_keys(judge).items()}),
    ]
    keys = layout_keys(len(SIZES.attributes), SIZES.layers)
    for network, prefix in (
        (fast.generator.layouts["gcn"], LAYOUT_PREFIX),
        (fast.generator.appearance, APPEARANCE_PREFIX),
    ):
        names.append((network, {ours: (prefix + name,) for name, ours in keys.items()}))
    total = torch.stack([g.norm() for g in theirs.values() if g is not None]).norm()
    worst = 0.0
    for network, table in names:
        for ours, parameter in network.named_parameters():
            if parameter.grad is None:
                continue
            expected = torch.cat([theirs[name] for name in table[ours]])
            # gradients that are all rounding have no direction to agree on
            if expected.norm() > 1e-6 * total:
                worst = max(worst, _difference(parameter.grad, expected))
    return worst


def _difference(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm().clamp(min=1e-12))


# --- measuring --------------------------------------------------------------------------------------------------------


def keep_memory() -> None:
    """Have the C library keep freed memory for later tensors; for this process, from now on."""
    trim_threshold, most_mappings = -1, -4
    library = ctypes.CDLL(None)
    if not library.mallopt(trim_threshold, 2**31 - 1) or not library.mallopt(most_mappings, 0):
        raise SystemExit("This C library's allocator cannot be told to keep memory; use --allocator default.")


def peak_memory(size: int, variant: str, device: str, threads: int) -> tuple[float, float]:
    """Peak megabytes of two steps in a fresh process, above imports, and the floor among them."""
    chosen = ("--memory-of", variant, "--sizes", size, "--device", device, "--threads", threads)
    peak, floor = in_fresh_process(__file__, *chosen).split()
    return float(peak), float(floor)


def _report_memory(variant: str, size: int, device: str) -> None:
    before = resident_peak()
    run = variants(device)[variant](size, device)
    run()
    run()
    peak = peak_since(before, device)
    trained = sum(p.numel() for network in fresh_naive() for p in network.parameters())
    frozen = sum(p.numel() for p in plain_vgg().parameters())
    print(peak, (4 * trained + frozen) * 4 / 2**20)


def benchmark(args: argparse.Namespace, device: str) -> list[Result]:
    results = []
    for size in args.sizes:
        runs = {variant: make(size, device) for variant, make in variants(device).items()}
        for variant, taken in in_turns(runs, args.repeats, device).items():
            results.append(Result(size, variant, device, *best_and_median(taken)))
        del runs
        for result in results if args.memory else []:
            if result.size == size:
                result.peak, result.floor = peak_memory(size, result.variant, device, args.threads)
    return results


def show(results: list[Result], threads: int, allocator: str) -> None:
    title = f"AG2Vid, {platform.machine()}, {threads} thread(s), torch {torch.__version__}, allocator: {allocator}"
    table = Table(title=title)
    left = ("device", "variant")
    for column in (
        "size", "device", "variant", "seconds", "median", "x naive", "peak MB", "x less", "above floor", "x less",
        "original s",
    ):  # fmt: skip
        table.add_column(column, justify="left" if column in left else "right")
    naive = {(r.size, r.device): r for r in results if r.variant == "naive"}
    for r in results:
        base = naive[r.size, r.device]
        memory = [""] * 4
        if r.peak is not None and r.floor is not None and base.peak is not None and base.floor is not None:
            above, base_above = r.peak - r.floor, base.peak - base.floor
            memory = [f"{r.peak:.0f}", f"{base.peak / r.peak:.2f}", f"{above:.0f}", f"{base_above / above:.2f}"]
        original = f"{ORIGINAL[r.size]:.0f}" if r.device == "cpu" and r.size in ORIGINAL else ""
        table.add_row(
            str(r.size), r.device, r.variant, f"{r.seconds:.2f}", f"{r.median_seconds:.2f}",
            f"{base.seconds / r.seconds:.2f}", *memory, original,
        )  # fmt: skip
    console = Console(width=130)
    console.print(table)
    floor = next((r.floor for r in results if r.floor is not None), None)
    if floor is not None:
        console.print(f"Floor (weights, gradients, Adam's moments, VGG): {floor:.0f} MB.")
    console.print(
        f"One iteration, batch {BATCH}, {LENGTH} frames. Targets on a CPU: {TIME_TARGET:.0f} x naive in time, "
        f"{MEMORY_TARGET:.0f} x less memory. 'original s' was recorded on another machine."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128], help="sides of the frames")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--device", choices=["cpu", "cuda", "all"], default="all")
    parser.add_argument("--allocator", choices=["default", "keep"], default="default", help="of the C library")
    parser.add_argument("--no-memory", dest="memory", action="store_false", help="leave the peak-memory runs out")
    parser.add_argument("--no-compare", dest="compare", action="store_false", help="leave the comparison out")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--memory-of", metavar="VARIANT", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.allocator == "keep":
        keep_memory()
        args.memory = False
    if args.memory_of:
        _report_memory(args.memory_of, args.sizes[0], args.device)
        return
    errors = {}
    if args.compare:
        torch.set_default_dtype(torch.float64)
        errors = compare(args.sizes[0])
        torch.set_default_dtype(torch.float32)
    for name, error in errors.items():
        print(f"fast and naive, {name}: relative difference {error:.1e}")
    results = [result for device in devices(args.device) for result in benchmark(args, device)]
    show(results, args.threads, args.allocator)
    if args.json:
        rows = [asdict(result) for result in results]
        saved = {"threads": args.threads, "allocator": args.allocator, "differences": errors, "results": rows}
        write_json(args.json, saved)


if __name__ == "__main__":
    main()
