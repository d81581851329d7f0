"""Does it obey? What is asked of a model, looked for in what it draws."""

import torch

from mutoscope.kinds.tables import Row, Table
from mutoscope.kinds.video.measure import chunks
from mutoscope.models.steerable import SteerableVideo
from mutoscope.render.page.tables import Column
from mutoscope.structures import VideoBatch

#: cosine of 45 degrees
_NEAR = 0.5**0.5


@torch.inference_mode()
def obedience(model: SteerableVideo, clips: VideoBatch, seed: int) -> Table:
    """Share of steps in which what was asked comes back when the generated clip is decoded again.

    Asked are the shifts and actions of other clips, as the model decodes them: what it can be expected to do.
    """
    codes = model.local_actions
    right = torch.zeros(codes)
    asked_of = torch.zeros(codes)
    by_chance = torch.zeros(codes)
    turned, steps = 0.0, 0
    generator = torch.Generator().manual_seed(seed)
    for part in chunks(clips):
        motion = model.decode(part.frames)
        order = torch.randperm(len(part), generator=generator).to(motion.actions.device)
        sample = model.play(part, motion.actions[order], motion.shifts[order], motion.background_shifts[order])
        again = model.decode(sample.fake)
        asked, found = motion.actions[order].cpu().flatten(), again.actions.cpu().flatten()
        asked_of += torch.bincount(asked, minlength=codes)
        right += torch.bincount(asked[asked == found], minlength=codes)
        by_chance += torch.bincount(found, minlength=codes)
        wanted, got = motion.shifts[order].cpu().flatten(0, 1), again.shifts.cpu().flatten(0, 1)
        moves = wanted.norm(dim=-1) > 1
        cosine = torch.cosine_similarity(wanted[moves], got[moves], dim=-1)
        turned, steps = turned + float((cosine > _NEAR).sum()), steps + int(moves.sum())
    shares = by_chance / by_chance.sum().clamp(min=1)
    questions = {"shift within 45 degrees": (turned / steps if steps else None, 0.25)}
    for code in range(codes):
        value = float(right[code] / asked_of[code]) if asked_of[code] else None
        questions[f"action {code}"] = (value, float(shares[code]))
    answers = {name: value for name, (value, _) in questions.items()}
    absent = {name: "this was never asked." for name, value in answers.items() if value is None}
    rows = [
        Row("comes back", "model", "Asked of the trained model.", len(clips), answers, absent=absent),
        Row("by chance", "foil", "Of steps at random.", len(clips), {n: c for n, (_, c) in questions.items()}),
    ]
    columns = [Column(name, better="higher", digits=3) for name in questions]
    return Table("Does it obey?", rows, columns)
