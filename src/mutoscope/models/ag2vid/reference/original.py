"""A checkpoint of the original AG2Vid as a model of this package, in the words of its data set or in its own."""

from pathlib import Path

from mutoscope.models.ag2vid.reference.checkpoint import (
    ReferenceFile,
    ReferenceNetworks,
    key_map_report,
    networks_from_reference,
    read_reference,
)
from mutoscope.models.ag2vid.reference.words import category_names, frame_side, one_attribute_vocabulary
from mutoscope.models.originals import Original, OriginalData
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import ActionVocabulary

#: side of the frames that the original was trained on where its flags do not tell
_RELEASED_SIDE = 256


def read_original(path: Path, data: OriginalData) -> Original:
    """See :meth:`~mutoscope.models.generative.GenerativeModule.from_original`; a ``run_args.json`` is read too."""
    if data.name is None:
        raise ConfigError(f"{path} does not say what data it was trained on; name them, e.g. dataset=cater.")
    file = read_reference(path)
    networks = networks_from_reference(file)
    # one frame in so many: the original took every frame of Something-Something, which the paper does not
    data.settle(size=frame_side(file.arguments) or _RELEASED_SIDE, frame_stride=1)
    info = data.info(_words(data, file, networks, path))
    assert info is not None
    multiple = networks.frames.generator.reduction
    if any(side % multiple for side in info.need_frame_size()):
        raise ConfigError(
            f"{path} makes frames whose sides are multiples of {multiple}, not {data.setting('size')}; set "
            "dataset.size."
        )
    return Original(
        info,
        networks.settings(),
        networks.weights(),
        key_map_report(networks),
        file.iterations,
        file.others,
        () if file.critic is not None else ("discriminator",),
    )


def _words(data: OriginalData, file: ReferenceFile, networks: ReferenceNetworks, path: Path) -> ActionVocabulary:
    """The data set's vocabulary, or the checkpoint's own where only the data would have it.

    Raises:
        ConfigError: if tables and vocabulary do not fit together.
    """
    sizes = networks.sizes
    own = category_names(file.vocabulary, sizes[0]) if len(sizes) == 1 else None
    vocabulary = data.vocabulary()
    if vocabulary is None:
        if len(sizes) != 1:
            raise ConfigError(
                f"{path} was not trained on '{data.name}': its objects have {len(sizes)} attributes, those of "
                f"'{data.name}' one. Name the data set that it was trained on, e.g. dataset=cater."
            )
        vocabulary = one_attribute_vocabulary(sizes[0], own)
        if own is None:
            say(f"{path} does not name its {sizes[0] - 1} categories; they are called category_1, category_2, ...")
    if own is not None and own != vocabulary.attributes[0][1]:
        raise ConfigError(
            f"{path} was trained on other categories, or in another order, than those of '{data.name}'; leave "
            "dataset.root out to take the checkpoint's own."
        )
    try:
        return networks.vocabulary(vocabulary)
    except ValueError as error:
        raise ConfigError(f"{path} was not trained on '{data.name}': {error}") from error
