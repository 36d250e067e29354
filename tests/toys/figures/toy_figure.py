"""A figure of the simplest kind."""

import plotly.graph_objects as go

from asr_core.figures import Chart


def toy_table(result):
    """Layer and severity."""
    return result.layers[["layer", "severity"]]


def toy_figure(table):
    """A bar per layer."""
    return go.Figure(go.Bar(x=table["layer"], y=table["severity"]))


def toy_sentence(table):
    """How many layers there are."""
    return f"The toy has {table['layer'].nunique()} layers."


TOY = Chart("toy_figure.TOY", toy_table, toy_figure, toy_sentence)
