"""What pages say over many shipped results (severity, noise, allocation, the paper's tables), against the files."""

import json
from collections import Counter
from itertools import product

import numpy as np
import pandas as pd
import pytest
import shipped
from scipy.stats import pearsonr, spearmanr, ttest_1samp
from shipped import NOTHING, REPORTED, number

from asr_core.figures import NothingToDraw, allocation, errors, noise, repairability, severity, shrinkage
from asr_core.figures import transition as bands
from asr_core.report.sentences import noise as said_of_noise
from asr_core.report.sentences import rules
from asr_core.spec.recalibration import NO_STATE, REPORTED_STATE, BatchNormState
from asr_core.spec.repairs import RepairSpec, repairs
from asr_core.store import catalogue, results
from asr_core.studies import fidelity, reproduction, transition
from asr_core.studies import noise as study
from asr_core.studies import severity as settings
from asr_core.studies.cells import Variant

REPAIRS = repairs(orders=("simultaneous",), biases=("off",))
ASR = "ASR · simultaneous · bias off"
LW = "LW (eq. 1) · simultaneous · bias off"
CUMULATIVE = ("cumulative", None, None, 20)
STATES = {
    NOTHING: NO_STATE,
    REPORTED: REPORTED_STATE,
    CUMULATIVE: BatchNormState.of(averaging="cumulative", calib_batches=20),
}


@pytest.fixture(scope="module")
def store():
    return shipped.store()


@pytest.fixture(scope="module")
def known(store):
    """(keys, facts) of every shipped setting."""
    return [(keys, shipped.facts(keys[0])) for keys in shipped.settings(store)]


@pytest.fixture(scope="module")
def stored(store):
    return [item for item in catalogue.stored(store) if (shipped.SHIPPED / item.key).is_dir()]


# --- severity: gains over all settings ---

GAINS = {"asr_lw": (ASR, LW), "asr_bn": (ASR, "BN only"), "bn_lw": ("BN only", LW)}


def points(known, like: dict) -> list[tuple[str, ...]]:
    """Keys of each pruned network: of several ways of measuring it, the one most like `like`, or with most rows."""
    by: dict = {}
    for keys, facts in known:
        by.setdefault((shipped.text_of(facts, "calibration", "evaluation"), facts["dense_id"]), []).append(
            (keys, facts)
        )

    def rank(one) -> tuple[int, int]:
        keys, facts = one
        ways = [(facts[part][name], like[part][name]) for part in ("calibration", "evaluation") for name in like[part]]
        return sum(own == other for own, other in ways), max(len(shipped.table(key, "accuracy")) for key in keys)

    return [max(some, key=rank)[0] for some in by.values()]


def gained(found: list, gain: str, at: tuple) -> pd.DataFrame:
    """gain, word, dense network, severity and overshoot of each point that holds both methods."""
    rows = []
    for keys in found:
        one, other = (shipped.bits(keys, name, at) for name in GAINS[gain])
        if one is not None and other is not None:
            facts = shipped.facts(keys[0])
            told = {name: facts[name] for name in ("dense_id", "severity", "overshoot")}
            rows.append({"gain": one.mean() - other.mean(), "p": shipped.mcnemar(one, other)} | told)
    table = pd.DataFrame(rows)
    return table.assign(word=shipped.words(table["gain"], table["p"]))


@pytest.mark.parametrize(("gain", "at"), list(product(GAINS, STATES)))
def test_in_how_many_settings_a_gain_is_more_than_chance_is_what_the_images_say(store, stored, known, gain, at):
    keys, like = known[0]
    item = next(item for item in stored if item.key == keys[0])
    chosen = {"store": store, "groups": settings.groups(stored, item.setting), "gain": gain, "state": STATES[at]}
    text = severity.GAIN.sentence(severity.GAIN.table(results.open_results(store, keys), **chosen))
    table = gained(points(known, like), gain, at)
    for word, count in Counter(table["word"]).items():
        assert f"{word} in {count}" in text, (word, count, text)
    assert f"of {len(table)};" in text


@pytest.mark.parametrize(("gain", "against"), list(product(GAINS, ("severity", "overshoot"))))
def test_a_correlation_of_gain_and_damage_is_that_of_scipy_or_has_a_reason(store, stored, known, gain, against):
    keys, like = known[0]
    item = next(item for item in stored if item.key == keys[0])
    chosen = {"groups": settings.groups(stored, item.setting), "gain": gain, "against": against}
    text = severity.GAIN.sentence(severity.GAIN.table(results.open_results(store, keys), store, **chosen))
    table = gained(points(known, like), gain, REPORTED)
    table = table[np.isfinite(table[[against, "gain"]].astype(float)).all(axis=1)]
    if table["dense_id"].nunique() < 5:
        assert "no correlation is given for fewer than 5 networks" in text
        return
    x, y = table[against].astype(float), table["gain"]
    assert abs(number(r"Pearson r = (-?[\d.]+)", text) - pearsonr(x, y).statistic) < 0.0051, text
    assert abs(number(r"Spearman ρ = (-?[\d.]+)", text) - spearmanr(x, y).statistic) < 0.0051, text


# --- noise ---


def alike(known, keys) -> dict[tuple[int, int], tuple[str, ...]]:
    """(seed, draw) -> keys of the settings that differ from one in nothing else; of a seed one dense network."""
    mine = shipped.facts(keys[0])
    rest = shipped.text_of(mine, "dense.seed", "calibration.draw")
    networks, found = {mine["dense"]["seed"]: mine["dense_id"]}, {}
    for others, facts in known:
        if shipped.text_of(facts, "dense.seed", "calibration.draw") == rest:
            seed = facts["dense"]["seed"]
            if networks.setdefault(seed, facts["dense_id"]) == facts["dense_id"]:
                found[seed, facts["calibration"]["draw"]] = others
    return found


def of_noise(store, stored, keys, chart):
    """A chart of the page Noise for one setting at the reporting point."""
    item = next(item for item in stored if item.key == keys[0])
    same = tuple(one.key for one in study.alike(stored, item.setting, item.dense_id))
    result = results.open_results(store, keys)
    return chart.table(result, store=store, keys=same, repairs=REPAIRS, state=REPORTED_STATE)


def place(facts: dict) -> tuple[int, int]:
    return facts["dense"]["seed"], facts["calibration"]["draw"]


def accuracies(cells: dict) -> pd.DataFrame:
    """(seed, draw) x network: share right, of the pruned network and the four repairs, where it is stored."""
    names = {"no repair": NOTHING, "BN only": REPORTED}
    names |= {
        f"{shipped.NAMES[method]} · simultaneous · bias off": REPORTED for method in ("lw_bn", "raw_bn", "asr_bn")
    }
    rows = {
        where: {
            name: np.nan if (own := shipped.bits(keys, name, at)) is None else own.mean() for name, at in names.items()
        }
        for where, keys in cells.items()
    }
    table = pd.DataFrame.from_dict(rows, "index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=["seed", "draw"])
    return table.dropna(axis=1, how="all")


def several(known):
    """Settings of which more than one draw or seed is stored, one of each kind, and as many others."""
    seen, found, single = set(), [], []
    for keys, facts in known:
        group = shipped.text_of(facts, "dense.seed", "calibration.draw")
        if group not in seen:
            seen.add(group)
            (found if len(alike(known, keys)) > 1 else single).append(keys)
    return found + single[: len(found)]


def test_the_size_of_each_noise_is_what_is_stored(store, stored, known):
    checked = 0
    for keys in several(known):
        try:
            text = noise.METHODS.sentence(of_noise(store, stored, keys, noise.METHODS))
        except NothingToDraw:
            continue
        wide, (seed, draw) = accuracies(alike(known, keys)), place(shipped.facts(keys[0]))
        here = wide.columns[wide.loc[(seed, draw)].notna()]
        for words, values in (
            ("calibration draws", [wide[name].xs(seed, level="seed").dropna() for name in here]),
            ("training seeds", [wide[name].dropna().groupby("seed").mean() for name in here]),
        ):
            spread = [100 * float(np.std(own, ddof=1)) for own in values if len(own) >= 3]
            if not spread:
                assert f"{words}: too few" in text, (keys, text)
                continue
            low, high = f"{min(spread):.1f}", f"{max(spread):.1f}"
            assert f"{words}: {low if low == high else f'{low} to {high}'} points" in text, (keys, text)
            checked += 1
    assert checked > 0


def by_t_test(values: pd.Series) -> float:
    """p of differences over draws or seeds; NaN for fewer than three."""
    if len(values) < 3:
        return np.nan
    return 1.0 if np.allclose(values, 0) else float(ttest_1samp(values, 0).pvalue)


def certain(own: dict, pairs: list, gaps: list, seed: int) -> dict[str, list[str]]:
    """Words over images, draws and seeds, corrected for all of them together."""
    draws, seeds = [gap.xs(seed, level="seed") for gap in gaps], [gap.groupby("seed").mean() for gap in gaps]
    gains = {"images": [own[a].mean() - own[b].mean() for a, b in pairs]}
    gains |= {"draw": [one.mean() for one in draws], "seed": [one.mean() for one in seeds]}
    p = [shipped.mcnemar(own[a], own[b]) for a, b in pairs] + [by_t_test(one) for one in draws + seeds]
    words, known = np.full(len(p), "not measured", object), np.flatnonzero(np.isfinite(p))
    flat = [gain for some in gains.values() for gain in some]
    words[known] = shipped.words([flat[i] for i in known], [p[i] for i in known])
    return dict(zip(gains, np.split(words, 3), strict=True))


def test_what_is_certain_of_each_difference_is_what_images_draws_and_seeds_say(store, stored, known):
    checked = 0
    for keys in several(known):
        try:
            table = of_noise(store, stored, keys, noise.DIFFERENCES)
        except NothingToDraw:
            continue
        facts, cells = shipped.facts(keys[0]), alike(known, keys)
        wide, (seed, draw) = accuracies(cells), place(facts)
        pairs = [tuple(map(long, row)) for row in table[["first_label", "second_label"]].to_numpy()]
        own = {
            name: shipped.bits(cells[seed, draw], name, NOTHING if name == "no repair" else REPORTED)
            for name in wide.columns[wide.loc[(seed, draw)].notna()]
        }
        assert len(pairs) == len(own) * (len(own) - 1) // 2
        gaps = [(wide[a] - wide[b]).dropna() for a, b in pairs]
        told = certain(own, pairs, gaps, seed)
        for name, words in told.items():
            assert [*table[f"{name}_word"]] == [*words], (keys, name)
        for row, (a, b) in zip(table.itertuples(), pairs, strict=True):
            gain = 100 * (own[a].mean() - own[b].mean())
            assert abs(number(r": ([+-][\d.]+) points at this draw", said_of_noise.one(row)) - gain) < 0.051
        text = noise.DIFFERENCES.sentence(table)
        sure = sum(word in ("ahead", "behind") for word in told["images"])
        assert f"{sure} of {len(pairs)} told apart over test images" in text
        checked += 1
    assert checked > 0


def long(label: str) -> str:
    """How `shipped.name` writes a network whose order and bias its label leaves to the subtitle."""
    return label if label in ("no repair", "BN only") or " · " in label else f"{label} · simultaneous · bias off"


# --- allocation ---


@pytest.fixture(scope="module")
def ruled(store, stored):
    """(keys, groups, result) of each dense network that was pruned by several rules."""
    found = []
    for item in transition.compared(stored):
        keys = catalogue.keys_of(catalogue.covering(stored, item.setting, item.dense_id))
        found.append((keys, transition.groups(stored, item.setting, item.dense_id), results.open_results(store, keys)))
    assert found
    return found


def test_the_densest_and_the_sparsest_layer_of_each_rule_are_those_of_the_stored_weights(store, ruled):
    for keys, groups, result in ruled:
        text = allocation.DENSITIES.sentence(allocation.DENSITIES.table(result, store, groups))
        asked, told = shipped.facts(keys[0])["sparsity_asked"], 0
        for own in groups:
            facts = shipped.facts(own[0])
            if abs(facts["sparsity_asked"] - asked) > 1e-9:
                continue
            convs = shipped.table(own[0], "convs")
            density = convs["kept"] / convs["weights"]
            if density.max() - density.min() < 2e-3 * density.max():
                assert f"keeps {density.max():.3g} of every layer" in text, (own, text)
            else:
                assert any(f"keeps {v:.3g} of " in text for v in (density.max(),)), (own, density.max(), text)
                assert f"and {density.min():.3g} of " in text, (own, density.min(), text)
            told += 1
        assert number(r"by (\d+) rule", text) == told


def test_which_rule_is_ahead_at_which_sparsity_is_what_the_images_say(store, ruled):
    repair, checked = RepairSpec.of("asr_bn", "simultaneous", True), 0
    for _, groups, result in ruled:
        try:
            table = bands.TRANSITION.table(result, store, groups, repair)
        except NothingToDraw:
            continue
        text = rules.verdict(transition.verdict(store, table), "ASR")
        low, own = table["sparsity"].min(), {}
        for keys in groups:
            facts = shipped.facts(keys[0])
            right = shipped.bits(keys, ASR.replace("off", "on"), REPORTED)
            if right is not None and facts["sparsity_asked"] >= low - 1e-9:
                own[round(facts["sparsity_asked"], 6), json.dumps(facts["prune"], sort_keys=True)] = right
        grid = [s for s in dict.fromkeys(s for s, _ in own) if sum(s == other for other, _ in own) > 1]
        pairs = [(a, b) for s in grid for a, b in _pairs([one for one in own if one[0] == s])]
        if not pairs:
            continue
        words, clear = shipped.compared(own, pairs), 0
        for sparsity in grid:
            mine = [one for one in own if one[0] == sparsity]
            best = max(mine, key=lambda one: own[one].sum())
            beaten = [
                words.get((best, other)) == "ahead" or words.get((other, best)) == "behind"
                for other in mine
                if other != best
            ]
            clear += all(beaten)
        assert f"**{clear} of {len(grid)}**" in text, text
        assert number(r"Holm over ([\d,]+) pair", text) == len(pairs)
        checked += 1
    assert checked > 0


def _pairs(names: list) -> list:
    return [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]


def test_what_a_repair_could_mend_is_what_is_stored(store, known):
    folder, checked = shipped.SHIPPED.parent / "repairability", 0
    found = [pd.read_parquet(path) for path in folder.glob("*/layers.parquet")]
    for keys, _ in known[::4]:
        try:
            table = repairability.REPAIRABILITY.table(results.open_results(store, keys), store)
        except NothingToDraw:
            continue
        said = table[table["measure"].eq("d_raw")].set_index(["layer", "sparsity"])["value"]
        (own,) = [one for one in found if np.allclose(one.set_index(["layer", "sparsity"])["d_raw"][said.index], said)]
        own = own[own["sparsity"] == own["sparsity"].max()].dropna(subset="rr")
        best, worst = own.loc[own["rr"].idxmin()], own.loc[own["rr"].idxmax()]
        text = repairability.REPAIRABILITY.sentence(table)
        assert f"{best['rr']:.2g} of the damage ({best['layer']}) and {worst['rr']:.2g} ({worst['layer']})" in text
        assert number(r"no repair, in (\d+) of", text) == (own["rr"] > 1).sum()
        checked += 1
    assert checked > 0


# --- signal ---


def test_the_share_that_factors_and_biases_could_mend_is_that_of_the_stored_moments(store, known):
    checked = 0
    for _, table, rows in told_of_signal(store, known):
        text = errors.PROFILE.sentence(table)
        live = rows[np.isfinite(rows[["mu", "v", "cov"]]).all(axis=1) & (rows["v_dense"] > 1e-12)]
        square = live["v"] + live["v_dense"] - 2 * live["cov"] + (live["mu"] - live["mu_dense"]) ** 2
        rho2 = (live["cov"] ** 2 / live["v_dense"] / live["v"].where(live["v"] > 1e-12)).fillna(0).clip(upper=1)
        by = live.assign(error=square, left=live["v_dense"] * (1 - rho2)).groupby("layer")[["error", "left", "v_dense"]]
        sums = by.sum()
        share = 1 - (sums["left"] / sums["v_dense"]).sum() / (sums["error"] / sums["v_dense"]).sum()
        assert abs(number(r"could mend (-?[\d.]+)", text) - 100 * share) < 1.1, (share, text)
        checked += 1
    assert checked > 0


def moments(table: pd.DataFrame) -> pd.DataFrame | None:
    """The stored moments of the pruned network whose layers a signal table shows."""
    wanted = table[table["method"].eq("no_repair")].set_index("layer")["rho"]
    for path in (shipped.SHIPPED.parent / "signal").glob("*/manifest.json"):
        if json.loads(path.read_text())["facts"]["network"]["method"] != "no_repair":
            continue
        rows = pd.read_parquet(path.parent / "calibration.parquet")
        median = rows.groupby("layer", observed=True)["rho"].median()
        if set(median.index) == set(wanted.index) and np.allclose(median[wanted.index], wanted, equal_nan=True):
            return rows
    return None


def told_of_signal(store, known):
    """(result, table of layers, stored moments of the pruned network) wherever signal is shipped."""
    for keys, _ in known:
        result = results.open_results(store, keys)
        try:
            table = errors.PROFILE.table(result, store, REPAIRS)
        except NothingToDraw:
            continue
        if (rows := moments(table)) is not None:
            yield result, table, rows


def test_the_largest_part_of_the_error_of_no_repair_is_that_of_the_stored_moments(store, known):
    checked = 0
    for _, table, rows in told_of_signal(store, known):
        rows = rows[np.isfinite(rows[["mu", "v", "cov"]]).all(axis=1) & (rows["v_dense"] > 1e-12)]
        mean, scale = (rows["mu"] - rows["mu_dense"]) ** 2, (np.sqrt(rows["v"]) - np.sqrt(rows["v_dense"])) ** 2
        whole = mean + rows["v"] + rows["v_dense"] - 2 * rows["cov"]
        parts = rows.assign(mean=mean, scale=scale, decorrelation=whole - mean - scale).groupby("layer", observed=True)
        sums = parts[["mean", "scale", "decorrelation"]].sum().div(parts["v_dense"].sum(), axis=0).sum()
        text = errors.BARS.sentence(table)
        assert f"no repair: {sums.idxmax()} " in text, (sums, text)
        assert abs(number(r"no repair: [a-z]+ (\d+) %", text) - 100 * sums.max() / sums.sum()) < 1.1, (sums, text)
        checked += 1
    assert checked > 0


def test_whether_shrinkage_follows_the_signal_is_what_the_stored_moments_say(store, known):
    checked = 0
    for result, _, rows in told_of_signal(store, known):
        for layer, own in list(rows.groupby("layer", observed=True, sort=False))[:: 1 if shipped.EVERY else 6]:
            alive = (own["v"] > 1e-12) & own["rho"].notna()
            text = shrinkage.SHRINKAGE.sentence(shrinkage.SHRINKAGE.table(result, store, layer)) if alive.any() else ""
            if not text:
                continue
            weight = own["v"] / (own["v"] + own["v"].median())
            live = own[alive].assign(weight=weight)
            assert f"its {len(live)} live channels" in text.lower(), text
            assert (f"{int((~alive).sum())} dead channels are left out" in text) == (not alive.all()), text
            if "do not vary enough" not in text:
                follows = np.corrcoef(live["rho"], live["weight"])[0, 1]
                assert abs(number(r"a correlation of (-?[\d.]+\d)", text) - follows) < 0.0051, (layer, text)
            checked += 1
    assert checked > 0


# --- the paper's tables ---

PRUNED = {
    "global_l1_0.50": ("global_l1", 0.5),
    "global_l1_0.70": ("global_l1", 0.7),
    "global_l1_0.90": ("global_l1", 0.9),
}


def cell_of(facts: dict) -> tuple[str, str, str] | None:
    """Architecture, dataset and pruning of the paper's table 1 that a setting has, with convs alone pruned."""
    prune, dataset = facts["prune"], facts["dataset_label"].lower().replace("-", "").partition(" (")[0]
    if prune.get("include_linear"):
        return None
    if prune["pruning"] == "n_m" and (prune["keep_n"], prune["group_m"]) == (2, 4):
        return facts["model"]["architecture"], dataset, "nm_2:4"
    names = {asked: name for name, asked in PRUNED.items()}
    asked = names.get((prune["pruning"], prune.get("sparsity")))
    return asked and (facts["model"]["architecture"], dataset, asked)


@pytest.mark.parametrize("bias", [None, False, True])
def test_every_number_of_table_1_is_stored_and_every_dash_is_not(store, stored, known, bias):
    table = reproduction.table1(store, stored, Variant(bias=bias))
    by: dict = {}
    for keys, facts in known:
        by.setdefault(cell_of(facts), []).append(keys)
    own = {"lw_bn": bias or False, "asr_bn": True if bias is None else bias}
    checked = 0
    for row in table[table["method"].isin(("bn_only", "lw_bn", "asr_bn"))].itertuples():
        on = f" · simultaneous · bias {'on' if own.get(row.method) else 'off'}" if row.method in own else ""
        cells = by.get((row.architecture, row.dataset, row.pruning), [])
        found = [shipped.bits(keys, shipped.NAMES[row.method] + on, REPORTED) for keys in cells]
        values = [right.mean() for right in found if right is not None]
        if row.top1 == row.top1:
            assert any(abs(row.top1 - value) < 1e-9 for value in values), row
            checked += 1
        else:
            assert not cells or len(values) < len(cells), row
    assert checked > 0


def test_a_median_of_table_3_is_that_of_the_settings_it_names(store, stored, known):
    table = reproduction.table3(store, stored, Variant())
    by: dict = {}
    for keys, facts in known:
        if cell := cell_of(facts):
            by.setdefault(cell, []).append(keys)
    for row in table[table["settings"] > 0].itertuples():
        at = ("ema", "reset", 0.1, row.step) if row.step else NOTHING
        name = row.dataset.lower().replace("-", "")
        values = [
            right.mean()
            for (_, dataset, _), cells in by.items()
            if row.dataset == "Overall" or dataset == name
            for keys in cells
            if (right := shipped.bits(keys, "BN only", at)) is not None
        ]
        assert row.settings <= len(values)
        assert min(values) - 1e-9 <= row.low <= row.median <= row.high <= max(values) + 1e-9, row


def test_no_protocol_is_called_the_papers_against_its_own_counts(store, stored):
    table = fidelity.study(store, stored)
    for row in table.itertuples():
        assert row.alike + row.against <= row.told <= row.pairs, row
        assert row.verdict != "as the paper" or (row.alike > row.against and row.p < 0.05), row
        assert row.verdict != "against the paper" or (row.against > row.alike and row.p < 0.05), row
