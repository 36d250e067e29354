"""The signal page in every state: stored before and after recalibration, on both kinds of images, and not stored."""

import numpy as np
import pandas as pd
import pytest
from drawn import charts
from made_maps import LAYER, RECALIBRATED, SPEC, copy
from maps_page import opened, said

from asr_core.figures import NothingToDraw, errors, heatmaps, overview, shrinkage
from asr_core.measure import errorparts
from asr_core.pipeline import run
from asr_core.report.sentences import signals
from asr_core.spec.recalibration import NO_STATE
from asr_core.spec.repairs import DENSE, NO_REPAIR
from asr_core.store import results
from asr_core.store.tables import networks, rows_of, with_network

pytestmark = pytest.mark.usefixtures("known_speed")  # measuring it starts a process


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = copy(tmp_path_factory.mktemp("signal"))
    run.signal(SPEC, store, RECALIBRATED)
    return store


@pytest.fixture(scope="module")
def table(store):
    return errors.layers_table(results.find(SPEC, store), store, SPEC.repairs, RECALIBRATED)


def page(store, **address):
    app = opened(store, **{"methods": "bn_only,lw_bn", "biases": "off", "orders": "simultaneous"} | address)
    app.switch_page("../signal.py").run()
    assert not app.exception
    return app


def test_stored_signal_is_three_charts_with_a_computed_sentence(use, store):
    app = page(use(store))
    assert len(charts(app)) == 3
    assert "the best factor and bias of every channel could mend" in said(app)
    assert "the paper's shrinkage and the correlation have a correlation of" in said(app)
    assert "Not stored" not in said(app)


@pytest.mark.parametrize("images", ["calibration", "test"])
@pytest.mark.parametrize("mapped", ["before", "after"])
def test_every_choice_draws(use, store, images, mapped):
    app = page(use(store), measured=images, mapped=mapped, calib_batches=1)
    assert len(charts(app)) == 3
    assert f"{images} images" in str(charts(app)[0]["layout"]["title"])


def test_what_is_not_stored_says_so_and_offers_to_compute(use, tmp_path):
    app = page(use(copy(tmp_path)))
    assert "Not stored: signal was not measured" in said(app)
    assert "Signal is not stored for" in said(app)
    assert [button.label for button in app.button].count("Compute") == 1
    assert charts(app) == []


def test_a_method_without_stored_signal_is_offered_beside_those_that_have_it(use, store):
    app = page(use(store), methods="bn_only,lw_bn", mapped="after", calib_batches=2)
    assert "Signal is not stored for 2 of the chosen networks." in said(app)


def test_the_profile_has_every_network_and_layer_once(table):
    assert set(networks(table)) == {NO_REPAIR, *SPEC.repairs}
    assert not table.duplicated(["label", "layer"]).any()
    plain = rows_of(table, NO_REPAIR)
    assert plain["depth"].tolist() == sorted(plain["depth"])


def tops(table, **how) -> list[float]:
    bars = [trace for trace in errors.parts_figure(table, **how).data if trace.type == "bar"]
    return [float(np.nanmax(np.asarray(bar.base, float) + np.asarray(bar.y, float))) for bar in bars]


def test_bars_add_up_to_the_error(table):
    assert max(tops(table, bars="sizes")) == pytest.approx(table["error"].max(), rel=1e-5)


def test_shares_of_every_layer_add_up_to_one(table):
    figure = errors.parts_figure(table, **errors.parts_limits([table]))
    assert max(tops(table)) == pytest.approx(1, rel=1e-5)
    assert figure.layout.yaxis.range == (0, 1)
    last = [trace for trace in figure.data if trace.type == "bar"][2::3]
    for bar in last:
        np.testing.assert_allclose(np.asarray(bar.base, float) + np.asarray(bar.y, float), 1, rtol=1e-5)


def test_sizes_pinned_beside_each_other_have_one_axis(table):
    limits = errors.parts_limits([table, table.assign(error=0.5 * table["error"])])
    assert limits["high"] == pytest.approx(1.05 * table["error"].max(), rel=1e-3)
    assert errors.parts_figure(table, bars="sizes", **limits).layout.yaxis.range == (0, limits["high"])


def test_a_layer_without_error_has_no_shares():
    nothing = made(**dict.fromkeys(errorparts.PARTS, 0.0), error=0.0)
    assert all(np.isnan(bar.y).all() for bar in errors.parts_figure(nothing).data if bar.type == "bar")


def test_the_bars_are_shares_until_sizes_are_chosen(use, store):
    app = page(use(store))
    assert "share of the layer's<br>squared error" in str(charts(app))
    assert "squared error /<br>dense variance" in str(charts(page(use(store), bars="sizes")))


def made(**columns):
    """A layer table of no repair, with these values in its one row."""
    values = {"label": "no repair", "layer": "conv", "depth": 0, "rho": 0.5, "rho_q25": 0.4, "rho_q75": 0.6}
    values |= dict.fromkeys(errorparts.PARTS, 0.1) | {"unmendable": 0.1, "error": 0.3, "mendable": 0.7}
    return with_network(pd.DataFrame([values | {"images": "test"} | columns]), NO_REPAIR)


def test_the_sentence_gives_both_shares():
    assert "could mend 70 %; the other 30 % none can" in signals.profile(made())


def test_without_error_no_share_is_given():
    nothing = made(**dict.fromkeys(errorparts.PARTS, 0.0), mendable=float("nan"), error=0.0, unmendable=0.0)
    assert "no error that could be divided up" in signals.profile(nothing)
    assert "no repair: no error" in signals.parts(nothing)
    assert errors.parts_limits([nothing]) == {"high": 1.0}


def test_undefined_layers_still_draw():
    gone = made(**dict.fromkeys((*errorparts.PARTS, "rho", "rho_q25", "rho_q75", "error"), float("nan")))
    assert errors.profile_figure(gone).data and errors.parts_figure(gone).data
    assert "no repair: not finite in any layer" in signals.parts(gone)
    some = pd.concat([gone, made()], ignore_index=True)
    assert signals.parts(some).endswith("(not finite in 1 of 2 layers).")


def test_shrinkage_stands_on_the_axis_of_correlation(store):
    result = results.find(SPEC, store)
    found = shrinkage.shrinkage_table(result, store, LAYER)
    v = result.channels.query("layer == @LAYER").set_index("channel")
    expected = v["v_pruned"] / (v["v_pruned"] + v["v_pruned"].median())
    np.testing.assert_allclose(found["shrinkage"], expected.loc[found["channel"]], rtol=1e-4)
    assert signals.shrinkage(found.assign(rho=1.0)).startswith(f"{LAYER}: Its")


def test_an_unknown_layer_and_a_store_without_signal_have_nothing_to_draw(store, tmp_path):
    result = results.find(SPEC, store)
    with pytest.raises(NothingToDraw, match="no channel that is live in both"):
        shrinkage.shrinkage_table(result, store, "elsewhere")
    with pytest.raises(NothingToDraw, match="Not stored"):
        errors.layers_table(result, copy(tmp_path), SPEC.repairs, NO_STATE)
    assert DENSE not in set(networks(errors.layers_table(result, store, SPEC.repairs, NO_STATE)))


def on(store, page_name, **address):
    """Another page of the same look."""
    app = page(store, **address)
    app.switch_page(f"../{page_name}.py").run()
    assert not app.exception
    return app


@pytest.mark.parametrize("colour", overview.SIGNAL)
def test_the_strip_of_layers_is_coloured_by_stored_signal(use, store, colour):
    app = on(use(store), "overview", colour=colour)
    assert f"The {overview.DAMAGES[colour][0]} is largest in" in said(app)


def test_the_strip_says_where_signal_is_not_stored_and_draws_the_rest(use, tmp_path):
    app = on(use(copy(tmp_path)), "overview", colour="rho")
    assert overview.NO_SIGNAL in said(app) and len(charts(app)) == 1


def test_the_worst_layers_have_the_stored_signal_of_the_pruned_network(store):
    result = results.find(SPEC, store)
    found = overview.damage_table(result, overview.signal_of(result, store)).set_index("layer")["rho"]
    expected = rows_of(errors.layers_table(result, store, (), NO_STATE), NO_REPAIR).set_index("layer")["rho"]
    np.testing.assert_array_equal(found, expected[found.index])
    assert "rho" not in overview.damage_table(result)


def test_heatmaps_end_with_the_correlation_of_every_network_whose_signal_is_stored(store, tmp_path):
    result = results.find(SPEC, store)
    table = heatmaps.cells_table(result, SPEC.repairs, store=store)
    rho = table[table["statistic"] == heatmaps.RHO]
    assert rho["value"].dropna().between(-1, 1).all() and set(rho["layer"]) == set(table["layer"])
    assert heatmaps.cells_figure(table).layout.yaxis.ticktext[-1].endswith("correlation")
    worst = heatmaps.worst_cells(table, len(table))  # of dead channels no correlation is defined
    assert 0 < worst["rho"].notna().sum() <= len(worst)
    plain = heatmaps.cells_table(result, SPEC.repairs, store=copy(tmp_path))
    assert heatmaps.RHO not in set(plain["statistic"]) and heatmaps.worst_cells(plain)["rho"].isna().all()
    assert heatmaps.CELLS.sentence(table) == heatmaps.CELLS.sentence(plain)


def test_heatmaps_show_signal_as_soon_as_it_is_stored(use, tmp_path):
    store = use(copy(tmp_path))
    assert "Signal of these networks is not stored" in said(on(store, "heatmaps"))
    run.signal(SPEC, store, NO_STATE)
    assert "Signal of these networks is not stored" not in said(on(store, "heatmaps"))
