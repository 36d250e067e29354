"""The page Which images pay: groups of images by hand, tests on the same images, classes, and the images themselves."""

import numpy as np
import pandas as pd
import pytest
from drawn import charts, shown
from made_answers import ASR, IMAGES, RAW, REPAIRS, STATE, stored
from made_maps import SPEC, copy
from made_results import store_result
from paged import faultless, opened

from asr_core.errors import DataError
from asr_core.figures import NothingToDraw, answered_images, classes, paying
from asr_core.measure.statistics import AHEAD, EQUAL, UNMEASURED
from asr_core.pipeline import maps
from asr_core.spec.experiment import from_dict
from asr_core.spec.keys import Keys
from asr_core.spec.recalibration import NO_STATE
from asr_core.spec.repairs import BN_ONLY, DENSE, NO_REPAIR, RepairSpec
from asr_core.store import Store, results
from asr_core.store.answers import Answers
from asr_core.store.tables import rows_of
from asr_core.studies import byclass
from asr_core.studies import paying as study

#             image:  0 1 2 3 4 5 6 7
RIGHT = {
    DENSE: "1 1 1 1 1 0 0 1",
    NO_REPAIR: "0 0 0 0 1 0 1 1",
    RAW: "1 1 0 0 0 0 0 1",
    ASR: "1 0 1 0 1 1 0 1",
}
BITS = {network: np.array([bit == "1" for bit in text.split()]) for network, text in RIGHT.items()}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return stored(Store(tmp_path_factory.mktemp("answers")))


@pytest.fixture
def measured(tmp_path):
    """A store with a result that was computed for real, logits and images at hand."""
    return copy(tmp_path)


def said(app) -> str:
    return shown("\n".join(item.value for kind in (app.markdown, app.caption, app.info) for item in kind))


@pytest.mark.parametrize(
    ("group", "repair", "images"),
    [
        ("alone", RAW, [1]),
        ("alone", ASR, [2]),
        ("regained", ASR, [0, 2]),
        ("all", RAW, [0]),
        ("none", RAW, [3]),
        ("broken", RAW, [4]),
        ("broken", ASR, []),
        ("found", ASR, [5]),
    ],
)
def test_groups_by_hand(group, repair, images):
    assert np.flatnonzero(study.group(BITS, group, repair)).tolist() == images


def test_counts_by_hand_add_up_to_the_net():
    table = study.counts(BITS).set_index("repair")
    assert table.loc[RAW, study.COUNTS].tolist() == [2, 1, 1, 0, 1, 0]
    assert table.loc[ASR, study.COUNTS].tolist() == [2, 1, 0, 1, 1, 2]
    sums = table["regained"] + table["found"] - table["broken"] - table["dropped"]
    assert (sums == table["net"]).all()
    assert table.loc[ASR, ["lost", "all", "one", "none", "pairs"]].tolist() == [4, 1, 2, 1, 3]


def test_a_repair_whose_answers_are_not_stored_does_not_take_part():
    table = study.counts(BITS | {BN_ONLY: None})
    assert BN_ONLY not in set(table["repair"]) and table["pairs"].iloc[0] == 3


def test_equal_networks_may_be_equal_and_lose_nothing():
    same = dict.fromkeys(BITS, BITS[DENSE])
    table = study.counts(same)
    assert table["word"].eq(EQUAL).all() and table["lost"].eq(0).all() and table["none"].eq(0).all()


def test_recall_by_class_by_hand():
    labels = np.array([0, 0, 0, 2, 2])
    told = {
        network: Answers(labels, np.array(predictions), np.zeros((1, 3)))
        for network, predictions in {DENSE: [0, 0, 0, 2, 2], NO_REPAIR: [0, 2, 2, 2, 0], ASR: [0, 0, 2, 2, 5]}.items()
    }
    table = byclass.recalls(told, ("cat", "dog"), ASR)
    assert rows_of(table, ASR)["class"].tolist() == ["cat", "class 2"]
    assert rows_of(table, ASR)["recall"].tolist() == pytest.approx([2 / 3, 1 / 2])
    confused = rows_of(byclass.confusions(told, ("cat", "dog")), ASR).set_index(["class", "answer"])["n"]
    assert confused["class 2", byclass.OTHER] == 1 and confused["cat", "class 2"] == 1
    assert confused.groupby("class").sum().to_dict() == {"cat": 3, "dog": 0, "class 2": 2}


def test_a_class_that_a_repair_rescues_is_ahead_and_one_without_a_partner_is_not_measured():
    labels = np.repeat([0, 1], 50)
    told = {DENSE: labels, NO_REPAIR: np.where(labels == 0, 1, labels), ASR: labels}
    told = {network: Answers(labels, says, np.zeros((1, 3))) for network, says in told.items()}
    words = rows_of(byclass.recalls(told, (), ASR), ASR)["word"].tolist()
    assert words == [AHEAD, EQUAL]
    del told[NO_REPAIR]
    assert rows_of(byclass.recalls(told, (), ASR), ASR)["word"].eq(UNMEASURED).all()


def test_the_page_draws_groups_classes_and_confusions(use, tmp_path):
    stored(use(Store(tmp_path)))
    app = faultless("images", dataset="digits")
    assert len(charts(app)) == 3
    assert "test images" in said(app) and "Holm over the classes" in said(app)


def test_results_without_answers_say_that_they_are_not_stored(use, tmp_path):
    store_result(use(Store(tmp_path)))
    app = faultless("images", dataset="digits")
    assert "Not stored: which images are right" in said(app) and not charts(app)


@pytest.mark.parametrize("group", ["alone", "none"])
def test_every_group_of_images_is_listed_or_said_to_be_empty(use, measured, group):
    store = use(measured)
    values = {"sparsity": "0.8", "stat_images": 16, "calib_batch_size": 16, "eval_images": 20, "epochs": 1}
    app = opened(
        "images",
        dataset="digits",
        architecture="shufflenet_v2_x0_5",
        stem="small",
        methods="bn_only,lw_bn",
        biases="off",
        orders="simultaneous",
        calib_batches=1,
        group=group,
        **values,
    )
    assert results.find(SPEC, store) is not None
    assert study.GROUPS[group] in said(app)


def listed(result, store, group="regained"):
    return answered_images.listed(result, store, REPAIRS, STATE, ASR, group)


def test_rows_hold_picture_class_and_answers(result, tmp_path):
    found = listed(result, Store(tmp_path))
    table = found.table
    assert 0 < len(table) == min(found.found, answered_images.MOST) and found.why is None
    assert table["picture"].str.startswith("data:image/png").all()
    assert (table["dense"] == table["class"]).all() and (table["no repair"] != table["class"]).all()


def test_confidence_stands_beside_an_answer_whose_logits_are_stored(result, tmp_path):
    store, spec = Store(tmp_path), from_dict(result.entry.manifest["spec"])
    key = Keys(spec, result.setting["dense_id"]).evaluation(DENSE, NO_STATE)
    logits = np.tile(np.log([0.91, *[0.01] * 9]), (IMAGES, 1)).astype(np.float16)
    store.put("evaluation", key, {"logits.npy": logits}, {})
    table, *_, unsure = listed(result, store)
    assert "dense" not in unsure and "no repair" in unsure
    assert table["dense"].str.fullmatch(r"\d 91 %").all() and table["no repair"].str.fullmatch(r"\d").all()


def test_pictures_that_are_not_at_hand_are_said_to_be_not(result, tmp_path, monkeypatch):
    def gone(*_):
        raise DataError("the input images are not on this machine")

    monkeypatch.setattr(maps, "inputs", gone)
    table, _, why, _ = listed(result, Store(tmp_path))
    assert "picture" not in table and why == "the input images are not on this machine"


def test_a_repair_whose_answers_are_not_stored_has_no_images(result, tmp_path):
    with pytest.raises(NothingToDraw, match="not stored"):
        answered_images.listed(result, Store(tmp_path), REPAIRS, STATE, RepairSpec.of("lw_bn"), "all")


def test_many_classes_are_drawn_in_part_and_said_to_be(result, tmp_path):
    table = classes.recalls_table(result, Store(tmp_path), REPAIRS, STATE)
    more = pd.concat([table.assign(class_index=table["class_index"] + 10 * i) for i in range(4)])
    more["class"] = more["class_index"].map("class {}".format)
    assert "20 of 40 classes" in classes.recalls_figure(more).layout.title.text


def test_bars_of_two_views_reach_equally_far(result):
    table = paying.table(result, REPAIRS, STATE)
    reach = paying.limits([table, table.assign(broken=1000)])["reach"]
    assert paying.figure(table, reach).layout.xaxis.range == (-reach, reach) and reach > 1000


def test_rows_of_the_page_name_images_of_the_test_split(use, tmp_path):
    stored(use(Store(tmp_path)))
    app = faultless("images", dataset="digits", group="regained")
    assert app.dataframe[-1].value["image"].between(0, 359).all()
