"""Colours and marks of the methods, for whoever draws without Plotly too. Imports nothing."""

# Told apart under simulated deuteranopia, at least 3 to 1 against a white and a dark page
# (tests/figures/test_colours.py); the shape repeats what the colour says.
METHODS = {
    "dense": ("#616161", "star"),
    "no_repair": ("#919191", "x"),
    "bn_only": ("#E57500", "square"),
    "lw_bn": ("#005AFF", "triangle-up"),
    "raw_bn": ("#A347B2", "diamond"),
    "asr_bn": ("#00AA4F", "circle"),
}
SPARE = (("#408CFF", "cross"), ("#BF2600", "pentagon"), ("#8C5446", "hexagon"))  # for methods added later
