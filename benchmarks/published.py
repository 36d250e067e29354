"""The accuracy of public checkpoints on the 10,000 test images of CIFAR-10, loaded as a user's weights are: where
../shared/data is, `make bench-published`. Each must be the published one to 0.01 points, or something is wrong.
"""

import json
import sys
import tarfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from tabulate import tabulate

from asr_core import evaluate, load_weights
from asr_core.images.data import IMAGENET_MEAN, IMAGENET_STD
from asr_core.networks import models
from asr_core.spec.model import ModelSpec
from asr_core.store.entries import PROJECT, write_json

DATA = PROJECT.parent / "shared" / "data"
ARCHIVE = "cifar10-png.tar.xz"
DOCUMENT = PROJECT / "docs" / "benchmark-published.json"
TOLERANCE = 0.0001  # of the published accuracy: 0.01 points
FILES = {
    "cifar_resnet20": ("resnet20-12fca82f.th", 0.9173),
    "cifar_resnet32": ("resnet32-d509ac18.th", 0.9263),
    "cifar_resnet44": ("resnet44-014dd654.th", 0.9310),
    "cifar_resnet56": ("resnet56-4bfd9763.th", 0.9339),
}
MEASURED = ("cifar_resnet20", "cifar_resnet56")
BATCH = 250


def images_of(archive: Path) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, 32, 32, 3) and labels (N,) of test/CLASS/ in a tar of an ImageFolder tree; nothing is unpacked."""
    found: list[tuple[str, np.ndarray]] = []
    with tarfile.open(archive) as file:
        for member in file:
            *above, name, _ = ["", "", *member.name.split("/")]
            if member.isfile() and above[-1] == "test" and member.name.endswith(".png"):
                content = file.extractfile(member)
                assert content is not None
                found.append((name, np.asarray(Image.open(BytesIO(content.read())).convert("RGB"))))
    names = sorted({name for name, _ in found})
    return np.stack([image for _, image in found]), np.array([names.index(name) for name, _ in found])


def batches(images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[torch.Tensor, np.ndarray]]:
    """The images as inputs in ImageNet's normalisation, with which the checkpoints were trained."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    for start in range(0, len(images), BATCH):
        part = torch.from_numpy(images[start : start + BATCH]).permute(0, 3, 1, 2).float() / 255
        yield (part - mean) / std, labels[start : start + BATCH]


def measured(architecture: str, data: Path, images: np.ndarray, labels: np.ndarray) -> dict:
    """One checkpoint: its accuracy here and as published, whether they agree, and the seconds that it took."""
    file, published = FILES[architecture]
    network = models.build(ModelSpec.of(architecture), 10, 32)
    identity = load_weights(network, data / "checkpoints" / file)
    start = time.perf_counter()
    top1 = evaluate(network, batches(images, labels)).top1
    return {
        "architecture": architecture,
        "file": file,
        "weights": identity,
        "images": len(labels),
        "top1": round(top1, 6),
        "published": published,
        "agrees": abs(top1 - published) <= TOLERANCE,
        "seconds": round(time.perf_counter() - start, 1),
    }


@click.command()
@click.argument("architectures", nargs=-1, type=click.Choice(list(FILES)))
@click.option("--data", type=click.Path(path_type=Path), default=DATA, help="Folder of the archive and checkpoints/.")
def main(architectures: tuple[str, ...], data: Path) -> None:
    """Accuracies of public checkpoints beside the published ones; the last result stays in docs/."""
    if not (data / ARCHIVE).is_file():
        click.echo(f"{data / ARCHIVE} is not here, so nothing can be measured; name its folder with --data.")
        return
    images, labels = images_of(data / ARCHIVE)
    found = [measured(name, data, images, labels) for name in architectures or MEASURED]
    known = {line["architecture"]: line for line in json.loads(DOCUMENT.read_text())} if DOCUMENT.is_file() else {}
    known |= {line["architecture"]: line for line in found}
    write_json(DOCUMENT, [known[name] for name in FILES if name in known])
    rows = [(x["architecture"], f"{x['top1']:.2%}", f"{x['published']:.2%}", x["images"], x["seconds"]) for x in found]
    click.echo(tabulate(rows, ("network", "measured", "published", "images", "seconds")))
    if wrong := [line["architecture"] for line in found if not line["agrees"]]:
        click.echo(f"not within {100 * TOLERANCE:g} points: {', '.join(wrong)}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.published")
