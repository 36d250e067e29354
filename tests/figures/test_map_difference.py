"""Maps of the pinned setting against the current one."""

import numpy as np
import pytest
from drawn import charts
from made_maps import LAYER, SPEC, copy
from maps_page import EIGHT, kinds, opened, said

from asr_core.figures import NothingToDraw, map_difference, style
from asr_core.figures import maps as figures
from asr_core.pipeline import run
from asr_core.spec.labels import label
from asr_core.spec.parts import PruneSpec
from asr_core.spec.repairs import DENSE, NO_REPAIR, RepairSpec
from asr_core.store import catalogue, results

pytestmark = pytest.mark.usefixtures("known_speed")  # measuring it starts a process
PLUS, LW = 0.75, RepairSpec.of("lw_bn", bias=False)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A store with two sparsities of one network, and maps of both."""
    store = copy(tmp_path_factory.mktemp("two"))
    denser = SPEC.with_(prune=PruneSpec.of(sparsity=0.4))
    run.run(denser, store)
    for spec in (SPEC, denser):
        run.maps(spec, store, EIGHT)
    return store


def tables(store, layers=(LAYER, LAYER)):
    """Tables of maps of both settings, the denser one first."""
    items = sorted(catalogue.stored(store), key=lambda item: item.setting.prune.parameters["sparsity"])
    return [
        figures.table(results.open_results(store, (item.key,)), store, layer, 2, [LW])
        for item, layer in zip(items, layers, strict=True)
    ]


def test_networks_of_both_are_subtracted_pixel_by_pixel(use, two):
    use(two)
    pinned, current = tables(two)
    current["no repair"] = pinned["no repair"] + np.float32(PLUS)
    current.attrs["networks"].pop(label(LW))
    found = map_difference.difference(pinned, current)
    assert [*style.headed(found).values()] == [DENSE, NO_REPAIR]
    assert len(found) == len(current)
    assert (found["dense"] == 0).all()  # one dense network
    np.testing.assert_allclose(found["no repair"], PLUS, atol=1e-5)


def test_only_images_of_both_are_subtracted(use, two):
    use(two)
    pinned, current = tables(two)
    images = current["image"].unique()
    assert set(map_difference.difference(pinned[pinned["image"].isin(images[:3])], current)["image"]) == set(images[:3])
    with pytest.raises(NothingToDraw, match="no test image in common"):
        map_difference.difference(pinned.assign(image=-1), current)


def test_maps_of_other_sizes_and_other_datasets_are_not_subtracted(use, two):
    use(two)
    pinned, current = tables(two)
    small = current[(current["row"] < 4) & (current["column"] < 4)]
    with pytest.raises(NothingToDraw, match="32 × 32 and 4 × 4"):
        map_difference.difference(pinned, small)
    pinned.attrs = pinned.attrs | {"data": pinned.attrs["data"] | {"dataset": "cifar10"}}
    with pytest.raises(NothingToDraw, match="different datasets"):
        map_difference.difference(pinned, current)


@pytest.mark.parametrize(
    ("scale", "spans"), [("map", [[1, 2], [3, 4]]), ("row", [[2, 2], [4, 4]]), ("global", [[4, 4], [4, 4]])]
)
def test_colours_are_centred_and_span_what_the_scale_says(scale, spans):
    values = np.array([[-1.0, 2.0], [3.0, -4.0]])[..., None, None] * np.array([[0.5, 1.0], [np.nan, 0.0]])
    found = np.broadcast_to(map_difference.spans(values, scale), (2, 2, 1, 1))[..., 0, 0]
    np.testing.assert_array_equal(found, spans)


def test_the_page_shows_the_difference_of_a_pinned_setting(use, two):
    use(two)
    items = {item.setting.prune.parameters["sparsity"]: item.key for item in catalogue.stored(two)}
    pin = f"{items[0.4]}~simultaneous~off~reset~ema~0.1~0"
    both = opened(two, pin=pin, channel=2)
    app = opened(two, pin=pin, channel=2, compare="difference")
    assert kinds(both).count("image") == 2 and kinds(app).count("image") == 1
    titles = charts(app)[0]["layout"]["xaxis"]["ticktext"]
    assert titles[:3] == ["input", "dense<br>current − pinned", "pruned<br>current − pinned"]
    assert "minus pinned (" in said(app) and not app.error
