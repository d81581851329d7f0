"""Video from action graphs: graphs and first frames in, clips out, measured against the true clips."""

from mutoscope.kinds.action_graph.settings import ActionGraphOptions, ActionGraphRequest
from mutoscope.kinds.registry import DataKind

KIND = DataKind(
    name="action_graph",
    title="video from action graphs",
    request=ActionGraphRequest,
    options=ActionGraphOptions,
    tools="mutoscope.kinds.action_graph.tools.ActionGraphTools",
)
