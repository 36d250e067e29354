"""The command line's options, in the groups that commands share; each with its help, unit and default."""

import click

from asr_core import checks, registry
from asr_core.errors import SpecError


def together(*decorators):
    """Apply click options so that --help lists them in the order written."""

    def apply(function):
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def as_sparsities(context, parameter, value) -> tuple[float, ...]:
    """`0.5,0.9` as numbers; raises SpecError."""
    try:
        found = [float(part) for part in value.split(",")]
    except ValueError:
        raise SpecError(f"sparsities are {value!r}; give fractions in [0, 1), for example 0.5,0.9.") from None
    return tuple(checks.checked_sparsity(sparsity) for sparsity in found)


def as_budgets(context, parameter, value) -> tuple[int, ...]:
    """`10,20` as numbers; raises SpecError."""
    try:
        return tuple(int(b) for b in value.split(","))
    except ValueError:
        raise SpecError(f"budgets are {value!r}; give whole numbers of batches, for example 10,20,30,50.") from None


NETWORK = together(
    click.option(
        "--dataset",
        default="digits",
        metavar="NAME",
        help="digits | cifar10 | cifar100 | imagenette | folder:PATH (an ImageFolder tree with train/ and test/).",
    ),
    click.option("--data-dir", metavar="DIR", help="Where downloads go [default: ASR_DATA_DIR, or data/ here]."),
    click.option("--image-size", default=32, metavar="PIXELS", help="Side of the square input."),
    click.option(
        "--normalization",
        default=None,
        metavar="NAME",
        help="dataset | imagenet: which mean and standard deviation [default: dataset; imagenet with --source imagenet].",
    ),
    click.option(
        "--architecture",
        default="resnet18",
        metavar="NAME",
        help="torchvision name of a classifier with BatchNorm, or cifar_resnet20 | 32 | 44 | 56 | 110.",
    ),
    click.option(
        "--stem",
        default="imagenet",
        metavar="NAME",
        help="imagenet | half (3x3 stride 2, no max-pool) | small (3x3 stride 1, no max-pool) | small-pool (its max-pool stays).",
    ),
    click.option(
        "--head",
        default="torchvision",
        metavar="NAME",
        help="torchvision | linear (one linear layer after global pooling).",
    ),
    click.option(
        "--source",
        default=None,
        metavar="NAME",
        help="Dense network: scratch | imagenet (fine-tune the last block and head); --weights implies file [default: scratch].",
    ),
    click.option(
        "--weights",
        metavar="FILE",
        help="The dense network: a state_dict or checkpoint (.safetensors, .pt, .pth, .th, .ckpt, ...).",
    ),
    click.option("--epochs", default=5, metavar="N", help="Training epochs of the dense network."),
    click.option(
        "--batch-size", default=None, type=int, metavar="IMAGES", help="Training batch [default: the recipe's]."
    ),
    click.option(
        "--learning-rate", default=None, type=float, metavar="X", help="Peak learning rate [default: the recipe's]."
    ),
    click.option(
        "--precision", default="float32", metavar="NAME", help="Of the forward pass in training: float32 | bfloat16."
    ),
    click.option("--average", is_flag=True, help="Average the weights over the last steps of training."),
    click.option("--seed", default=0, metavar="N", help="Seed of training and of the calibration images."),
)

BUDGET = together(
    click.option(
        "--sparsity",
        default=None,
        type=float,
        metavar="X",
        help="Fraction of weights removed, in [0, 1) [default: 0.95; N:M sets its own].",
    ),
    click.option("--include-linear", is_flag=True, help="Also prune linear layers."),
    click.option("--keep-first", is_flag=True, help="The first conv stays dense (not with N:M)."),
    click.option(
        "--keep-head", is_flag=True, help="The last linear layer stays dense with --include-linear (not with N:M)."
    ),
    click.option(
        "--min-density",
        default=None,
        type=float,
        metavar="X",
        help="Each layer keeps at least this fraction of its weights (not with N:M) [default: 0].",
    ),
)

SETTING = together(
    NETWORK,
    click.option(
        "--pruning",
        default="global_l1",
        metavar="RULE",
        help="Pruning rule: " + " | ".join(registry.names("pruning rule")) + ".",
    ),
    BUDGET,
    click.option("--keep-n", default=None, type=int, metavar="N", help="N of N:M pruning [default: 2]."),
    click.option("--group-m", default=None, type=int, metavar="M", help="M of N:M pruning [default: 4]."),
    click.option(
        "--eval-images",
        default=None,
        type=int,
        metavar="N",
        help="Fixed seeded subset of the test split [default: all of it].",
    ),
)

MACHINE = together(
    click.option("--device", default="auto", metavar="NAME", help="auto | cpu | cuda | mps."),
    click.option("--threads", default=None, type=int, metavar="N", help="CPU threads [default: torch's]."),
)

GRID = together(
    click.option(
        "--methods", default="bn_only,lw_bn,raw_bn,asr_bn", metavar="NAMES", help="Repair methods, separated by commas."
    ),
    click.option("--orders", default="simultaneous,sequential", metavar="NAMES", help="Orders of collection."),
    click.option("--biases", default="off,on", metavar="off,on", help="Mean correction (eq. 10) settings."),
    click.option("--prior", default="median", metavar="NAME", help="Prior variance of ASR: median | mean | fixed."),
    click.option("--prior-value", default=1.0, metavar="X", help="Variance of prior fixed (activation units squared)."),
    click.option("--stat-images", default=64, metavar="N", help="Training images that give the channel statistics."),
    click.option("--calib-batch-size", default=128, metavar="IMAGES", help="Images in a recalibration batch."),
    click.option(
        "--budgets",
        default="10,20,30,50",
        callback=as_budgets,
        metavar="B,B,...",
        help="Recalibration budgets b in batches; b = 0 is always there.",
    ),
    click.option("--momentum", default=0.1, metavar="X", help="Momentum of the ema averaging, in (0, 1]."),
    MACHINE,
)
