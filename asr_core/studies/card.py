"""What differs between the paper's protocol and one here, aspect by aspect. Imports no torch."""

import pandas as pd

from asr_core import registry
from asr_core.spec import labels
from asr_core.spec.experiment import Setting
from asr_core.spec.recalibration import NO_BATCHNORM
from asr_core.studies.cells import Variant

NOT_STATED = "not stated"
FROM_FILE = "not known: a file"
Row = tuple[str, str, str]  # aspect, the paper's words (quoted), what is done here


def card(setting: Setting, label: str, variant: Variant) -> pd.DataFrame:
    """Aspect by aspect: the paper's words (quoted, or 'not stated') and what is done here.

    label: name of the images. Columns aspect, paper, here.
    """
    rows = [*_dense(setting), *_images(setting, label), *_pruning(setting, variant), *_repair(variant)]
    rows += _recalibration(setting, variant)
    return pd.DataFrame(rows, columns=["aspect", "paper", "here"])


def _dense(setting: Setting) -> list[Row]:
    dense = setting.dense
    weights = {"scratch": "random start", "imagenet": "torchvision's IMAGENET1K_V1", "file": "a file"}
    trained = {"scratch": "all", "imagenet": "last block and head", "file": FROM_FILE}
    recipe = "SGD, Nesterov momentum 0.9, weight decay 5e-4, rising and falling learning rate"
    averaged = ", weights averaged over the last steps" if dense.average else ""
    frozen = "“all layers frozen except the final residual block and classification head”"
    made = dense.source != "file"
    return [
        ("weights", "“initialised from ImageNet-pretrained weights”; which: not stated", weights[dense.source]),
        ("trained layers", frozen, trained[dense.source]),
        ("epochs", "“five epochs on the target dataset”", str(dense.epochs) if made else FROM_FILE),
        ("optimiser, learning rate", NOT_STATED, recipe + averaged if made else FROM_FILE),
        ("stem and head", NOT_STATED, labels.parts(setting.model) or "as the architecture has them"),
    ]


def _images(setting: Setting, label: str) -> list[Row]:
    side, tested = setting.data.image_size, setting.evaluation.eval_images
    scaled = {"dataset": "mean and deviation of the training images", "imagenet": "ImageNet's"}
    subset = "the whole test split" if tested is None else f"{tested:,}, a fixed random part of the test split"
    return [
        ("input size", NOT_STATED, f"{side} x {side} pixels"),
        ("normalisation", NOT_STATED, scaled.get(setting.data.normalization, setting.data.normalization)),
        ("images", "CIFAR-10, CIFAR-100, Imagenette", label),
        ("test images", "“top-1 test accuracy”; how many: not stated", subset),
    ]


def _pruning(setting: Setting, variant: Variant) -> list[Row]:
    how = "“torch.nn.utils.prune.global_unstructured”, “L1 magnitude”; “2:4 (N:M)”"
    tensors = "convolutions and linear layers" if variant.include_linear else "convolutions"
    return [
        ("pruning", how, "the same threshold over all pruned weights; 2:4 along the input channels"),
        ("pruned tensors", NOT_STATED, tensors),
        ("statistics images", "“64 training images”", str(setting.calibration.stat_images)),
    ]


def _repair(variant: Variant) -> list[Row]:
    usual = registry.get("repair method", "asr_bn").defaults()
    eps = usual["eps"] if variant.eps is None else variant.eps
    own = {None: "on for ASR, off for LW", True: "on", False: "off"}[variant.bias]
    return [
        ("first convolution", "“layer 1 skipped”", "skipped" if usual["skip_first"] else "repaired"),
        ("order of collection", "not stated; algorithm 1 goes from layer to layer", variant.order),
        ("mean correction", "for ASR, eq. 10; for LW: not stated", own),
        ("prior of the shrinkage", "“median” (eq. 5)", "median"),
        ("eps", "“numerical floor ε > 0”; its value: not stated", f"{eps:g}"),
    ]


def _recalibration(setting: Setting, variant: Variant) -> list[Row]:
    if not setting.model.batchnorm:
        return [("recalibration", "“resets and re-estimates BatchNorm running mean and variance”", NO_BATCHNORM)]
    cumulative = variant.averaging == "cumulative"
    start = "does not matter (cumulative)" if cumulative else variant.start
    averaging = "cumulative" if cumulative else f"ema, momentum {variant.momentum:g}"
    budget = f"b = {variant.calib_batches} batches of {setting.calibration.calib_batch_size}"
    seeds = "“a fixed pruning and calibration seed”; how many runs: not stated"
    return [
        ("start of recalibration", "“resets and re-estimates BatchNorm running mean and variance”", start),
        ("averaging, momentum", NOT_STATED, averaging),
        ("budget", "b = 20 batches of 128", budget),
        ("seeds", seeds, "one per row; further seeds where stored"),
    ]
