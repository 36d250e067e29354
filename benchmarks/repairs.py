"""Every repair on a trained CIFAR network, written into docs/signal.md.

python -m benchmarks.repairs --images PATH --weights FILE. PATH: ImageFolder tree of CIFAR-10. FILE: weights of a CIFAR
ResNet-20 whose inputs are normalised as ImageNet's.
"""

import time
import warnings
from datetime import date
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from tabulate import tabulate

from asr_core import evaluate, load_weights, prune, recalibrate, repair, signal
from asr_core.images.data import IMAGENET_MEAN, IMAGENET_STD
from asr_core.measure import errorparts
from asr_core.networks.cifar_resnet import CifarResNet
from asr_core.report.signaltext import share
from asr_core.spec.labels import method_label

METHODS = ("lw_bn", "raw_bn", "asr_bn", "ls_bn", "mls_bn", "mean_bn", "dfq_bn", "norm_bn")
TESTS, STATISTICS, BATCHES = 2000, 64, 8
TARGET = Path(__file__).parent.parent / "docs" / "signal.md"
HEADERS = ("method", "top-1 %, by draw", "mean", "seconds", "rho", "mendable", "after recalibration")


def pictures(root: Path, split: str, indices: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """(normalised images, labels) at `indices` of a split's sorted files."""
    files = sorted((root / split).glob("*/*"))
    classes = sorted({path.parent.name for path in files})
    chosen = [files[i] for i in indices]
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in chosen]) / 255
    found = torch.from_numpy((pixels - IMAGENET_MEAN) / IMAGENET_STD).permute(0, 3, 1, 2).float()
    labels = np.array([classes.index(path.parent.name) for path in chosen])
    return found.contiguous(memory_format=torch.channels_last), labels


def walk(root: Path, split: str, seed: int) -> np.ndarray:
    """A seeded order of a split's images."""
    return np.random.default_rng(seed).permutation(len(sorted((root / split).glob("*/*"))))


def row(method: str, dense, pruned, root: Path, tests: tuple, draws: int) -> tuple:
    """One method over several draws of the statistics images; signal and recalibration of the first."""
    tops, seconds, first = [], [], pruned
    for draw in range(draws):
        images, _ = pictures(root, "train", walk(root, "train", draw)[:STATISTICS])
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # data-free correction names the layers that it leaves
            repaired = pruned if method == "no_repair" else repair(dense, pruned, images, method, "sequential", True)[0]
        seconds.append(time.process_time() - start)
        tops.append(100 * evaluate(repaired, *tests).top1)
        first = first if draw else repaired
        if method == "no_repair":
            break
    table = signal(dense, first, tests[0][:STATISTICS])
    rho = errorparts.by_layer(table)["rho"].median()
    batches, _ = pictures(root, "train", walk(root, "train", 0)[: 128 * BATCHES])
    after = evaluate(recalibrate(first, batches.split(128), (BATCHES,), averaging="cumulative")[BATCHES], *tests).top1
    listed = ", ".join(f"{top:.1f}" for top in tops)
    spent = "" if method == "no_repair" else f"{np.mean(seconds):.1f}"
    mended = share(errorparts.mendable(table))
    return method_label(method), listed, f"{np.mean(tops):.1f}", spent, f"{rho:.2f}", mended, f"{100 * after:.1f}"


@click.command()
@click.option("--images", type=Path, required=True, help="ImageFolder tree of CIFAR-10.")
@click.option("--weights", required=True, help="Weights of a CIFAR ResNet-20.")
@click.option("--sparsity", default=0.8, help="Share of the conv weights that go.")
@click.option("--draws", default=3, help="Draws of the statistics images.")
@click.option("--methods", default=",".join(METHODS), help="Repair methods, separated by commas.")
@click.option("--begun", type=Path, help="What a stopped run printed: its rows are not measured again.")
def main(images: Path, weights: str, sparsity: float, draws: int, methods: str, begun: Path | None) -> None:
    """Measure every repair, and write the table."""
    torch.set_num_threads(1)
    dense = CifarResNet(20, 10)
    load_weights(dense, weights)
    dense.eval()
    pruned, _ = prune(dense, "global_l1", sparsity=sparsity)
    tests = pictures(images, "test", walk(images, "test", 0)[:TESTS])
    top1 = 100 * evaluate(dense, *tests).top1
    known = {line.partition(" | ")[0]: tuple(line.strip().split(" | ")) for line in begun.open()} if begun else {}
    rows = []
    for method in ("no_repair", *methods.split(",")):
        there = known.get(method_label(method))
        rows.append(there or row(method, dense, pruned, images, tests, draws))
        click.echo(" | ".join(rows[-1]))
        TARGET.write_text(page(rows, top1, sparsity, draws))  # what is there so far, should it be stopped


def page(rows: list[tuple], top1: float, sparsity: float, draws: int) -> str:
    """The page in Markdown."""
    return f"""# Signal, and repairs that BatchNorm cannot undo

Written by `python -m benchmarks.repairs` on {date.today()} (torch {torch.__version__}, one thread). ResNet-20 on
CIFAR-10, dense {top1:.1f} %; global L1, {100 * sparsity:g} % of conv weights removed; {TESTS} test images (an accuracy:
about 2 points either way); sequential, mean correction on, {STATISTICS} statistics images, {draws} draw(s) of them, no
recalibration.

{tabulate(rows, headers=HEADERS, tablefmt="github", disable_numparse=True)}

rho: correlation with the dense output, median over layers of the channels' median, on {STATISTICS} test images;
mendable: the share of the squared error there that the best factor and bias of each channel could still take away;
after recalibration: top-1 % of the first draw once BatchNorm is re-estimated on {BATCHES} batches of 128 (cumulative).
Seconds are of the processor, for the whole repair.
"""


if __name__ == "__main__":
    main()
