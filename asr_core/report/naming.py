"""The networks of a table in their order and by their names, as legends, rows and sentences have them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from asr_core.spec import labels
from asr_core.spec.recalibration import NO_BATCHNORM
from asr_core.spec.repairs import ORDERS, RepairSpec
from asr_core.store.tables import networks

REFERENCES = ("dense", "no_repair")  # networks that no repair made


def in_order(found: Iterable[RepairSpec]) -> list[RepairSpec]:
    """Networks as rows and legends have them: dense, no repair, then by method (`labels.methods`), order, bias."""
    known = [*REFERENCES, *labels.methods()]
    return sorted(dict.fromkeys(found), key=lambda network: (known.index(network.method), *_variant(network)))


def _variant(network: RepairSpec) -> tuple:
    order = ORDERS.index(network.order) if network.order else -1
    return order, bool(network.bias), network.columns["params"]


def in_table(table: pd.DataFrame) -> list[RepairSpec]:
    """The networks of a table, as `in_order`."""
    return in_order(networks(table).unique())


def each(table: pd.DataFrame) -> Iterator[tuple[RepairSpec, pd.DataFrame]]:
    """(network, its rows) for each network of a table, as `in_order`."""
    rows = dict(iter(table.groupby(networks(table), sort=False, observed=True)))
    for network in in_order(rows):
        yield network, rows[network]


def ordered(table: pd.DataFrame, *more: str) -> pd.DataFrame:
    """Rows network by network, as `in_order`, then by the columns `more`."""
    found = networks(table)
    place = {network: number for number, network in enumerate(in_order(found.unique()))}
    rows = table.assign(place=found.map(place).astype(int)).sort_values(["place", *more], kind="stable")
    return rows.drop(columns="place").reset_index(drop=True)


def legend(table: pd.DataFrame) -> tuple[dict[RepairSpec, str], str]:
    """(legend text of each network of a table, what all its repairs share): see `spec.labels.labels`."""
    return labels.labels(in_table(table))


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with the column `label`: the network of each row, as a legend names it."""
    names, _ = legend(table)
    return table.assign(label=networks(table).map(names).astype(object))


def in_words(found: Iterable[RepairSpec]) -> tuple[dict[RepairSpec, str], str]:
    """(short name of each network, ' (what all of them share)' or ''): for sentences."""
    names, shared = labels.labels(found)
    return names, f" ({shared})" if shared else ""


def beside(columns: Mapping[RepairSpec, Any], **more: Any) -> pd.DataFrame:
    """A table with a column of values per network, headed by its label, after the columns `more`: maps, kernels."""
    names = {network: labels.label(network) for network in columns}
    table = pd.DataFrame(more | {names[network]: values for network, values in columns.items()})
    table.attrs["networks"] = {name: network.columns for network, name in names.items()}
    return table


def headed(table: pd.DataFrame) -> dict[str, RepairSpec]:
    """Heading -> network of each column of values of a table that `beside` made, in its order."""
    return {name: RepairSpec.from_columns(**columns) for name, columns in table.attrs["networks"].items()}


def headed_in_words(table: pd.DataFrame) -> tuple[dict[str, str], str]:
    """`in_words` of the networks of a table that `beside` made, by heading."""
    networks = headed(table)
    names, shared = in_words(networks.values())
    return {heading: names[network] for heading, network in networks.items()}, shared


def titles(found: Iterable[RepairSpec]) -> tuple[list[str], str]:
    """(names on several lines, what all repairs share): of columns or rows of pictures, in the order given."""
    found = list(found)
    names, shared = labels.labels(found)
    return ["pruned" if n.method == "no_repair" else names[n].replace(" · ", "<br>") for n in found], shared


def budget(table: pd.DataFrame) -> str:
    """'b = 20', of a table in one BatchNorm state; of a network that has none to recalibrate, that."""
    row = table.iloc[0]
    return NO_BATCHNORM if row["recalibration"] == NO_BATCHNORM else f"b = {row['b']}"


def percent(sparsity: float) -> str:
    """'95.5 %'."""
    return f"{100 * sparsity:.4g} %"
