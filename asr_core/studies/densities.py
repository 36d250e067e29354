"""Where pruning rules leave the weights of one network's convs, and which layers they protect. No torch.

A rule is known in words (column rule) and by its registered name (column pruning).
"""

import pandas as pd

DENSE = 0.99  # density from which on a layer counts as protected
SHORTCUTS = ("downsample", "shortcut")  # parts of the name of a conv that projects a residual block's input
KINDS = ("first", "projection", "1x1", "other")
RULE = ["rule", "pruning"]
COLUMNS = [*RULE, "layer", "depth", "kind", "density", "kept", "weights", "share"]


def densities(convs: pd.DataFrame, sparsity: float) -> pd.DataFrame:
    """One row per rule and conv at one budget: rule, pruning, layer, depth, kind (of KINDS), density = kept /
    weights, kept,
    weights, share (of all weights that the rule keeps in convs)."""
    rows = convs[(convs["sparsity"].astype(float) - sparsity).abs() < 1e-6]
    if rows.empty:
        return pd.DataFrame(columns=COLUMNS)
    whole = rows.groupby("rule")["kept"].transform("sum").clip(lower=1)
    kind = [kind_of(row.layer, row.depth, row.kernel) for row in rows.itertuples()]
    table = rows.assign(kind=kind, density=rows["kept"] / rows["weights"], share=rows["kept"] / whole)
    return table[COLUMNS].reset_index(drop=True)


def kind_of(layer: str, depth: int, kernel: str) -> str:
    """`first` conv, `projection` (1x1 conv on a residual block's shortcut), other `1x1` conv, or `other`."""
    if depth == 0:
        return "first"
    if kernel != "1x1":
        return "other"
    return "projection" if any(word in layer for word in SHORTCUTS) else "1x1"


def protected(table: pd.DataFrame) -> pd.DataFrame:
    """What each rule of a `densities` table keeps (nearly) dense, density >= DENSE: rule, layers (how many), each of
    KINDS (how many), names, share (of the weights that the rule keeps)."""
    rows = []
    for rule, layers in table.groupby("rule", sort=False):
        kept = layers[layers["density"] >= DENSE]
        counts = {kind: int((kept["kind"] == kind).sum()) for kind in KINDS}
        told = {"names": ", ".join(kept["layer"]), "share": kept["share"].sum()}
        rows.append({"rule": rule, "layers": len(kept), **counts, **told})
    return pd.DataFrame(rows, columns=["rule", "layers", *KINDS, "names", "share"])


def projections(table: pd.DataFrame) -> pd.DataFrame:
    """The projections of a `densities` table by rule: rule, pruning, density and share (of the rule's kept weights),
    over all of them."""
    found = table[table["kind"] == "projection"].groupby(RULE, sort=False)[["kept", "weights", "share"]].sum()
    return found.assign(density=found["kept"] / found["weights"]).reset_index()[[*RULE, "density", "share"]]


def over_protects(table: pd.DataFrame, pruning: str = "erk") -> bool | None:
    """Whether a rule keeps a larger fraction of the projections' weights than each other rule of a `densities` table.

    None where it cannot be told: no projection, the rule or no other rule is there.
    """
    found = projections(table).set_index("pruning")["density"]
    if pruning not in found or len(found) < 2:
        return None
    return bool((found[pruning] > found.drop(pruning)).all())
