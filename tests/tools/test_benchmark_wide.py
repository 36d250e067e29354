"""The made-up results that the dashboard is timed on, and the controls that are clicked."""

import pytest
from paged import faultless

from asr_core.spec.experiment import Setting
from asr_core.store import Store
from asr_core.store.catalogue import covering, stored
from asr_core.store.results import open_results
from asr_core.store.tables import networks
from benchmarks import dashboard, ui, wide
from pages._frame.address import PARAMS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(store, address) of the made-up results."""
    store = Store(dashboard.cache_with_shipped(tmp_path_factory.mktemp("wide") / "cache"))
    return store, wide.store_wide(store)


def test_the_widest_layer_has_2048_channels_in_every_network_and_the_others_stay(made):
    store, address = made
    (item,) = covering(stored(store), Setting.of(seed=wide.SEED, sparsity=float(address["sparsity"])))
    found = open_results(store, (item.key,))
    sizes = found.channels.groupby("layer", sort=False).size()
    assert sizes[address["layer"]] == wide.CHANNELS and (sizes.drop(address["layer"]) <= 512).all()
    widened = found.repairs[found.repairs["layer"] == address["layer"]]
    per_repair = widened.groupby(networks(widened))["channel"].nunique()
    assert len(per_repair) >= 4 and (per_repair == wide.CHANNELS).all()


def test_made_up_results_are_told_from_real_ones_by_their_seed(made):
    store, address = made
    made_up = [item for item in stored(store) if item.setting.dense.seed == wide.SEED]
    assert sorted(item.setting.prune.parameters["sparsity"] for item in made_up) == sorted(wide.SPARSITIES)
    assert address["seed"] == str(wide.SEED)


@pytest.mark.parametrize("page, buttons", [(page, buttons) for page, _, buttons in ui.CONTROLS])
def test_every_clicked_control_is_a_row_of_so_many_buttons(made, use, known_speed, page, buttons):
    store, address = made
    use(store)
    app = faultless(page, **address)
    rows = {row.key: len(row.options) for row in app.button_group}
    assert all(rows[control] >= number for control, number, _ in buttons)
    assert all(control in PARAMS for control, _, _ in buttons)
