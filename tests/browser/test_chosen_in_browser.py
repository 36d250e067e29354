"""The chosen channel by keyboard, in a browser."""

RINGED = """key => document.querySelector(`.st-key-${key} .js-plotly-plot`)._fullData
    .filter(trace => /^channel \\d+$/.test(trace.name)).map(trace => trace.name)"""


def test_the_keys_n_and_p_move_the_ring_from_channel_to_channel(server, visit):
    visitor = visit(server, "variance?dataset=digits&sparsity=0.9&layer=layer1.0.conv1&channel=3")
    for key, channel in (("n", 4), ("n", 5), ("p", 4)):
        visitor.page.keyboard.press(key)
        visitor.arrive("variance", channel=channel)
        visitor.see("scatter")
        visitor.until(
            lambda expected=f"channel {channel}": set(visitor.page.evaluate(RINGED, "scatter")) == {expected},
            "the ring",
        )
    assert not visitor.broken()
