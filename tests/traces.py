"""A figure of each kind of trace that Plotly knows."""

import plotly.graph_objects as go
from plotly.validator_cache import ValidatorCache

TRACES = ValidatorCache.get_validator("", "data").class_strs_map
KINDS = sorted(TRACES)
NEEDS_MAPS = {"choropleth", "choroplethmap", "densitymap", "scattergeo", "scattermap"}  # which lie on other servers
GRID = {"z": [[1, 2], [3, 4]]}
SHARES = {"labels": ["a", "b"], "values": [2, 1]}
POINTS = {"x": [1, 2, 3], "y": [2, 1, 3]}
SPACE = POINTS | {"z": [1, 2, 3]}
FILLED = {
    **dict.fromkeys(("scatter", "scattergl", "bar", "box", "violin", "histogram", "funnel", "waterfall"), POINTS),
    **dict.fromkeys(("heatmap", "contour", "surface"), GRID),
    **dict.fromkeys(("scatter3d", "mesh3d"), SPACE),
    **dict.fromkeys(("pie", "funnelarea"), SHARES),
    **dict.fromkeys(("sunburst", "treemap", "icicle"), SHARES | {"parents": ["", "a"]}),
}


def figure_of(kind: str) -> go.Figure:
    """A figure of one trace of this kind, with numbers where it is one of the common ones."""
    return go.Figure({"data": [{"type": kind, "name": kind, **FILLED.get(kind, {})}], "layout": {"height": 300}})
