"""Video of one agent that can be steered: a picture, shifts and local actions in, frames out."""

from mutoscope.kinds.registry import DataKind
from mutoscope.kinds.video.settings import VideoOptions, VideoRequest

KIND = DataKind(
    name="video",
    title="video that can be steered",
    request=VideoRequest,
    options=VideoOptions,
    tools="mutoscope.kinds.video.tools.VideoTools",
)
