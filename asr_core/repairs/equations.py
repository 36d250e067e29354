"""Normal equations of a conv: its unfolded inputs against what its output should be. Float64, streamed.

Per group of the conv with K = in / groups * kH * kW inputs u and rows over batch and space: means, the centred products
U'U (K, K) and U'Y (K, out / groups). While there are fewer rows than K, the rows themselves are kept instead: they are
smaller, and so is what has to be solved.
"""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

ROWS = 2 << 20  # values of unfolded inputs at a time: 16 MiB
SOLVED = 16 << 20  # values of equations that are solved at a time: 128 MiB


class Equations:
    """Of one conv; `add` rows, then `solve` for the weights that pruning kept."""

    def __init__(self, conv: nn.Conv2d):
        self.conv, self.groups = conv, getattr(conv, "groups", 1)
        self.inputs = conv.weight[0].numel()  # K
        self.count = 0
        self.mean: Any = 0.0  # (g, K) once there are rows
        self.target: Any = 0.0  # (g, out / g)
        self.rows: Any = []  # (inputs (g, n, K), targets (g, n, out / g)), not centred; None once there are products
        self.products: Any = None  # centred U'U (g, K, K), U'Y (g, K, out / g), once there are

    def add(self, given: torch.Tensor, wanted: torch.Tensor) -> None:
        """Rows of the conv's input (N, C, H, W) and of its wanted output, (pixel, channel)."""
        device = torch.device("cpu") if given.device.type == "mps" else given.device
        per_image = len(wanted) // len(given)
        images = max(1, ROWS // (per_image * self.inputs * self.groups))
        for part, target in zip(given.split(images), wanted.split(images * per_image), strict=True):
            self._take(self._unfolded(part.to(device)), self._grouped(target.to(device).double()))

    def _unfolded(self, given: torch.Tensor) -> torch.Tensor:
        """(g, row, K) of an input (N, C, H, W), padded as the conv pads; always a copy."""
        conv = self.conv
        if isinstance(conv, nn.Linear):
            return self._grouped(_copied(given.flatten(2).transpose(1, 2)))
        mode = "constant" if conv.padding_mode == "zeros" else conv.padding_mode
        padded = F.pad(given, conv._reversed_padding_repeated_twice, mode=mode)
        found = F.unfold(padded, conv.kernel_size, conv.dilation, 0, conv.stride)
        return self._grouped(_copied(found.transpose(1, 2)))

    def _grouped(self, rows: torch.Tensor) -> torch.Tensor:
        """(row, g * k) as (g, row, k)."""
        return rows.reshape(len(rows), self.groups, -1).transpose(0, 1)

    def _take(self, u: torch.Tensor, y: torch.Tensor) -> None:
        if self.rows is not None:
            self.rows.append((u, y))
            if sum(part.shape[1] for part, _ in self.rows) <= self.inputs:
                return
            if len(self.rows) > 1:
                u, y = (torch.cat(parts, 1) for parts in zip(*self.rows, strict=True))
            self.rows = None
        self._merge(u, y)

    def _merge(self, u: torch.Tensor, y: torch.Tensor) -> None:
        """Products of further rows, as Chan, Golub and LeVeque (1979) merge variances; `u` is centred in place."""
        n, mean, target = u.shape[1], u.mean(1), y.mean(1)
        u, y = u.sub_(mean[:, None]), y - target[:, None]
        apart, beside = mean - self.mean, target - self.target
        whole = self.count + n
        if self.products is None:
            self.products = u.mT @ u, u.mT @ y
        else:
            weight = self.count * (n / whole)
            squares, mixed = self.products
            squares.baddbmm_(u.mT, u).baddbmm_(apart[:, :, None], apart[:, None, :], alpha=weight)
            mixed.baddbmm_(u.mT, y).baddbmm_(apart[:, :, None], beside[:, None, :], alpha=weight)
        self.mean, self.target = self.mean + apart * (n / whole), self.target + beside * (n / whole)
        self.count = whole

    def solve(self, keep: torch.Tensor, ridge: float) -> tuple[torch.Tensor, torch.Tensor]:
        """(weights, means of the conv's output with them, without bias): float64 (out, in / groups, kH, kW), (out,).

        keep: which weights may differ from 0, of the weight's shape. ridge: times the mean square of an input around
        its mean, added to the diagonal; 0: least squares, of the smallest norm where they are not unique.
        """
        keep = keep.reshape(self.groups, -1, self.inputs)
        if self.rows is None:
            found = self._of_products(keep, ridge)
        else:
            u, y = (torch.cat(parts, 1) for parts in zip(*self.rows, strict=True))
            self.count, self.mean = u.shape[1], u.mean(1)
            found = _of_rows(u - self.mean[:, None], y - y.mean(1, keepdim=True), keep, ridge)
        means = (found @ self.mean[:, :, None]).flatten()
        return found.reshape(self.conv.weight.shape).cpu(), means.cpu()

    def _of_products(self, keep: torch.Tensor, ridge: float) -> torch.Tensor:
        """Weights (g, out / g, K) from the products, batches of channels with about as many kept weights together."""
        squares, mixed = (part / self.count for part in self.products)
        level = ridge * squares.diagonal(dim1=1, dim2=2).mean(1)
        channels = keep.flatten(0, 1)
        sizes, own = channels.sum(1), len(keep[0])
        order = sizes.argsort()
        order = order[sizes[order] > 0]
        found = squares.new_zeros(len(channels), self.inputs)
        while len(order):
            largest = int(sizes[order[-1]])
            part = max(1, SOLVED // largest**2)
            batch, order = order[-part:], order[:-part]
            group = torch.div(batch, own, rounding_mode="floor").to(squares.device)
            places, used = _places(channels[batch], largest)
            places, used = places.to(squares.device), used.to(squares.device)
            left = squares[group[:, None, None], places[:, :, None], places[:, None, :]]
            right = mixed[group[:, None], places, (batch % own).to(squares.device)[:, None]] * used
            left = left * (used[:, :, None] & used[:, None, :])
            left.diagonal(dim1=1, dim2=2).add_(torch.where(used, level[group, None], 1.0))
            found[batch[:, None].to(squares.device).expand_as(places)[used], places[used]] = _solved(left, right)[used]
        return found.reshape(keep.shape)


def _copied(parts: torch.Tensor) -> torch.Tensor:
    """(N, row, K) as rows (row, K), float64, in one step."""
    found = torch.empty(parts.shape, dtype=torch.float64, device=parts.device).copy_(parts)
    return found.flatten(0, 1)


def _places(channels: torch.Tensor, largest: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(indices of the kept inputs of each channel, filled up with 0 to `largest`, which of them count)."""
    order = torch.argsort(channels.to(torch.uint8), dim=1, descending=True, stable=True)[:, :largest]
    used = channels.gather(1, order)
    return order.where(used, 0), used


def _solved(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Solutions (b, k) of positive semi-definite systems (b, k, k); of the smallest norm where singular."""
    factor, failed = torch.linalg.cholesky_ex(left)
    found = torch.cholesky_solve(right[..., None], factor)[..., 0]
    diagonal = factor.diagonal(dim1=1, dim2=2)
    unsafe = (failed > 0) | ~(diagonal.amin(1) > 1e-6 * diagonal.amax(1)) | ~found.isfinite().all(1)
    for place in unsafe.nonzero().flatten():
        found[place] = _smallest(left[place], right[place])
    return found


def _smallest(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    if not (left.isfinite().all() and right.isfinite().all()):
        return torch.full_like(right, float("nan"))
    return torch.linalg.lstsq(left.cpu(), right.cpu()[:, None], driver="gelsd").solution[:, 0].to(right.device)


def _of_rows(u: torch.Tensor, y: torch.Tensor, keep: torch.Tensor, ridge: float) -> torch.Tensor:
    """Weights (g, out / g, K) from centred rows (g, n, K) and targets (g, n, out / g), fewer rows than inputs."""
    found = u.new_zeros(keep.shape)
    for group, rows in enumerate(u):
        level = ridge * float(rows.square().sum() / len(rows) / rows.shape[1])
        for channel, kept in enumerate(keep[group].to(u.device)):
            found[group, channel, kept] = _of_few(rows[:, kept], y[group, :, channel], level)
    return found


def _of_few(rows: torch.Tensor, y: torch.Tensor, level: float) -> torch.Tensor:
    """Ridge regression on few rows (n, s): through s x s or n x n equations, whichever are smaller."""
    n, s = rows.shape
    if not (rows.isfinite().all() and y.isfinite().all()):
        return rows.new_full((s,), float("nan"))
    if level <= 0:
        return torch.linalg.lstsq(rows.cpu(), y.cpu()[:, None], driver="gelsd").solution[:, 0].to(rows.device)
    if s <= n:
        return _solved((rows.mT @ rows / n + level * torch.eye(s).to(rows))[None], (rows.mT @ y / n)[None])[0]
    return rows.mT @ _solved((rows @ rows.mT + n * level * torch.eye(n).to(rows))[None], y[None])[0]
