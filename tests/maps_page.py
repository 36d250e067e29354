"""The maps page on a store of made_maps, without a browser."""

import paged
from drawn import charts
from made_maps import LAYER, SETTING

from asr_core.pipeline import maps

EIGHT = maps.MapSpec(layer=LAYER)


def opened(store, **address):
    """The page at an address, on a store that is in `use`; it must not fail."""
    found = {
        "dataset": "digits",
        "architecture": SETTING.model.architecture,
        "stem": "small",
        "epochs": "1",
        "sparsity": "0.8",
        "stat_images": "16",
        "calib_batch_size": "16",
        "eval_images": "20",
        "calib_batches": "0",
    }
    given = found | {"methods": "bn_only,lw_bn", "layer": LAYER} | address
    return paged.opened("maps", **given)


def said(app):
    return "\n".join(
        item.value for kind in (app.markdown, app.info, app.warning, app.caption, app.error) for item in kind
    )


def kinds(app):
    return [trace["type"] for chart in charts(app) for trace in chart["data"]]
