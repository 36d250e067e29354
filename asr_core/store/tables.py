"""Tables whose rows are of networks: which repair a row is of, and the rows of a repair."""

import numpy as np
import pandas as pd

from asr_core.spec.repairs import COLUMNS, RepairSpec


def networks(table: pd.DataFrame) -> pd.Series:
    """The network of each row as a RepairSpec, categorical, made from the columns method, order, bias and params.

    Good to group by: `table.groupby(networks(table), sort=False, observed=True)`.
    """
    keys = table.groupby(COLUMNS, sort=False, dropna=False, observed=True)
    codes = keys.ngroup().to_numpy()
    first = table.loc[~pd.Series(codes).duplicated().to_numpy(), COLUMNS].astype(object)
    found = [RepairSpec.from_columns(*row) for row in first.itertuples(index=False)]
    known = {network: place for place, network in enumerate(dict.fromkeys(found))}
    place = {code: known[network] for code, network in zip(pd.unique(codes), found, strict=True)}
    places = pd.Series(codes).map(place).to_numpy(int)
    return pd.Series(pd.Categorical.from_codes(places, list(known)), index=table.index, name="network")


def rows_of(table: pd.DataFrame, *repairs: RepairSpec) -> pd.DataFrame:
    """The rows of these networks, in the table's order."""
    return table[is_of(table, *repairs)]


def is_of(table: pd.DataFrame, *repairs: RepairSpec) -> pd.Series:
    """Whether each row is of one of these networks."""
    found = pd.Series(False, index=table.index)
    for repair in repairs:
        found |= _same(table, repair)
    return found


def _same(table: pd.DataFrame, repair: RepairSpec) -> pd.Series:
    same = pd.Series(True, index=table.index)
    for name, value in repair.columns.items():
        column = table[name]
        same &= column.isna() if value is None else column.eq(value).fillna(False).astype(bool)
    return same


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
