"""The page Confidence: reliability, calibration error and temperature of stored networks, and what is not stored."""

import numpy as np
import pytest
from drawn import charts, shown
from made_answers import REPAIRS, STATE, stored
from made_results import store_result
from paged import faultless

from asr_core.figures import NothingToDraw, confidence
from asr_core.measure.confidence import ece
from asr_core.spec.repairs import DENSE, RepairSpec
from asr_core.store import Store
from asr_core.store.tables import rows_of


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return stored(Store(tmp_path_factory.mktemp("answers")))


def said(app) -> str:
    return shown("\n".join(item.value for kind in (app.markdown, app.caption, app.info) for item in kind))


def test_the_page_draws_both_charts_and_says_every_networks_error(use, tmp_path):
    stored(use(Store(tmp_path)))
    app = faultless("confidence", dataset="digits")
    assert len(charts(app)) == 2
    assert "Expected calibration error on 200 test images" in said(app)


def test_results_from_before_confidence_say_that_it_is_not_stored(use, tmp_path):
    store_result(use(Store(tmp_path)))
    app = faultless("confidence", dataset="digits")
    assert "Not stored: this result was made before confidence was measured" in said(app) and not charts(app)


def test_a_repair_that_is_not_stored_says_so_on_its_line(result):
    absent = RepairSpec.of("lw_bn", "sequential", True)
    table = confidence.errors_table(result, [*REPAIRS, absent], STATE)
    assert rows_of(table, absent)["ece"].isna().all()
    assert "not stored" in str(confidence.errors_figure(table).data)
    assert "Not stored: LW" in confidence.ERRORS.sentence(table)


def test_bins_add_up_to_the_calibration_error_and_to_all_images(result):
    errors, bins = (maker(result, REPAIRS, STATE) for maker in (confidence.errors_table, confidence.bins_table))
    own = rows_of(bins, DENSE)
    gap = (own["n"] * (own["right"] - own["confidence"]).abs()).sum() / own["n"].sum()
    assert gap == pytest.approx(rows_of(errors, DENSE)["ece"].iloc[0], abs=1e-6)
    assert own["n"].sum() == 200


def test_every_bin_lies_within_its_interval_and_edges(result):
    table = confidence.bins_table(result, REPAIRS, STATE)
    assert table["right"].between(table["right_low"], table["right_high"]).all()
    assert table["confidence"].between(table["low"] - 1e-6, table["high"] + 1e-6).all()


def test_two_views_have_equal_axes(result):
    table = confidence.errors_table(result, REPAIRS, STATE)
    assert confidence.errors_limits([table, table.assign(ece=0.5)]) == {"high": 0.55}
    assert confidence.errors_limits([table.assign(ece=np.nan, ece_tempered=np.nan, ece_chance=np.nan)]) == {"high": 0.1}


def test_networks_of_which_none_is_stored_have_nothing_to_draw(result):
    accuracy = result.accuracy.assign(ece=np.nan)
    with pytest.raises(NothingToDraw, match="none of the chosen networks"):
        confidence.errors_table(type(result)(result.setting, accuracy, *[None] * 5), REPAIRS, STATE)


def test_chance_shows_about_its_error_for_a_network_as_sure_as_right():
    random = np.random.default_rng(0)
    sure = random.uniform(0.3, 1, 4000)
    found = [confidence.confidence.reliability(sure, random.random(4000) < sure) for _ in range(50)]
    by_chance = confidence.confidence.ece_by_chance(found[0])
    assert np.mean([ece(bins) for bins in found]) == pytest.approx(by_chance, rel=0.1)
    assert np.isnan(confidence.confidence.ece_by_chance(np.zeros((15, 3))))
