"""Tables whose rows are of networks: which repair a row is of, and the rows of a repair."""

from typing import Any

import numpy as np
import pandas as pd

from asr_core.spec.repairs import COLUMNS, RepairSpec


def networks(table: pd.DataFrame) -> pd.Series:
    """The network of each row as a RepairSpec, categorical, made from the columns method, order, bias and params.

    Good to group by: `table.groupby(networks(table), sort=False, observed=True)`.
    """
    columns = _coded(table)
    combined = np.zeros(len(table), np.int64)
    for codes, known in columns:
        combined = combined * len(known) + codes
    _, firsts, kinds = np.unique(combined, return_index=True, return_inverse=True)
    found = [RepairSpec.from_columns(*(known[codes[row]] for codes, known in columns)) for row in firsts]
    in_order = list(dict.fromkeys(found[kind] for kind in np.argsort(firsts)))
    place = {network: code for code, network in enumerate(in_order)}
    places = np.array([place[network] for network in found], int)[kinds]
    return pd.Series(pd.Categorical.from_codes(places, in_order), index=table.index, name="network")


def _coded(table: pd.DataFrame) -> list[tuple[np.ndarray, list[Any]]]:
    """Of each of COLUMNS the code of each row's value, and the values by code: None, of rows without one, last."""
    factors = [pd.factorize(table[name]) for name in COLUMNS]
    return [(np.where(codes < 0, len(known), codes), [*known.tolist(), None]) for codes, known in factors]


def rows_of(table: pd.DataFrame, *repairs: RepairSpec) -> pd.DataFrame:
    """The rows of these networks, in the table's order."""
    return table[is_of(table, *repairs)]


def is_of(table: pd.DataFrame, *repairs: RepairSpec) -> pd.Series:
    """Whether each row is of one of these networks."""
    columns, found = _coded(table), np.zeros(len(table), bool)
    for repair in repairs:
        found |= _same(columns, repair)
    return pd.Series(found, index=table.index)


def _same(columns: list[tuple[np.ndarray, list[Any]]], repair: RepairSpec) -> np.ndarray:
    """Whether each row of `_coded` columns is of this network."""
    asked = zip(columns, repair.columns.values(), strict=True)
    nowhere = -1  # no row has this code
    return np.logical_and.reduce(
        [codes == (known.index(value) if value in known else nowhere) for (codes, known), value in asked]
    )


def with_network(table: pd.DataFrame, repair: RepairSpec) -> pd.DataFrame:
    """`table` with the columns of `repair` in front."""
    count = len(table)
    head = pd.DataFrame({name: [value] * count for name, value in repair.columns.items()}, index=table.index)
    return typed(pd.concat([head, table], axis=1))


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with the dtypes that COLUMNS have in every table: text, and a boolean that may be missing."""
    return table.astype({"method": object, "order": object, "bias": "boolean", "params": object})


def halved(table: pd.DataFrame) -> pd.DataFrame:
    """float64 columns as float32, but for those with larger numbers: the variances of a signal that explodes."""
    numbers = table.select_dtypes("float64")
    sizes = np.abs(numbers.to_numpy())
    larger = ((sizes > np.finfo(np.float32).max) & (sizes < np.inf)).any(axis=0)
    return table.assign(**{name: table[name].to_numpy().astype("float32") for name in numbers.columns[~larger]})
