"""What is typed for networks so narrow that an iteration takes a fraction of a second."""

#: on one thread, without a bar
QUIET = (
    "trainer.threads=1",
    "trainer.progress=false",
    "trainer.log_every_n_steps=1",
)
KINETIC_GAN = ("model=kinetic_gan", "model.widths=[16,16,8,8,8]", "model.latent=16")
SA_GCN = (
    "model.generator.widths=[8,12,10]",
    "model.generator.graph_widths=[4,6,6,8,8]",
    "model.generator.hidden=12",
    "model.clip_critic.widths=[12,10,14,6]",
    "model.frame_critic.widths=[12,10,14,6]",
    "model.frame_critic.frames=5",
    "dataset.length=16",
    "dataset.batch_size=4",
)
#: a few people who are made up on the spot
PEOPLE = (
    "dataset=toy_motion",
    "dataset.clips_per_class=7",
    "dataset.val_clips_per_class=4",
    "dataset.classes=[walk,wave,kick]",
)
AG2VID = (
    "model=ag2vid",
    "model.width=8",
    "model.graph_hidden=16",
    "model.frames.spade.width=4",
    "model.frames.spade.hidden=8",
    "model.frames.flow.width=4",
    "model.discriminator.width=4",
    "model.frames.perceptual=discriminator",
)
#: typed below SA-GCN's own metrics: their classifier, as small as the models here
SA_GCN_METRICS = {
    "accuracy_clip_critic": {"recognizer": {"max_steps": 2, "model": {"widths": [12, 10, 14, 6]}}},
}
#: of a tree in CATER's format
CLIPS = (
    "dataset.cache_workers=1",
    "dataset.size=32",
    "dataset.length=8",
    "dataset.frames_length=3",
    "dataset.windows_per_video=4",
)
#: of a recipe that names the model itself
GLASS_WIDTHS = (
    *(f"model.global_motion.mask.{name}={size}" for name, size in (("stem", 4), ("trunk", 6), ("up", 4), ("depth", 1))),
    *(f"model.global_motion.inpainting.{name}={size}" for name, size in (("half", 4), ("quarter", 5), ("eighth", 6))),
    "model.global_motion.shifts.convolutions=[4,5,6,7]",
    "model.global_motion.shifts.hidden=[6,5]",
    *(
        f"model.local_motion.encoder.{n}={size}"
        for n, size in (("half", 4), ("quarter", 5), ("eighth", 6), ("state", 6))
    ),
    *(f"model.local_motion.decoder.{name}={size}" for name, size in (("quarter", 8), ("half", 6), ("full", 5))),
    "model.local_motion.dynamics.compressed=4",
    "model.local_motion.dynamics.width=5",
    "model.local_motion.actions.codes=3",
)
GLASS = (
    "model=glass",
    *GLASS_WIDTHS,
    *(f"model.length.{name}={value}" for name, value in (("start", 3), ("end", 5), ("begin", 2), ("lasts", 2))),
    *(f"model.teacher_forced.{name}={value}" for name, value in (("start", 2), ("end", 1), ("begin", 1), ("lasts", 2))),
    "model.pretraining=1",
    "model.perceptual=none",
    "measure.samples_per_class=1",
)
#: characters that are drawn on the spot
SPRITES = (
    "dataset=wsprites",
    "dataset.characters=3",
    "dataset.videos=1",
    "dataset.frames=12",
    "dataset.length=5",
    "dataset.shrink=2",
    "dataset.batch_size=2",
)
