"""Sums over rows: as numpy's of whole float64 arrays, however rows are shared, and by whatever sums them."""

import numba
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_core.measure import loops, sums


def rows(count: int, channels: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, channels, generator=torch.Generator().manual_seed(seed))


def expected(own: torch.Tensor, others: torch.Tensor) -> np.ndarray:
    """(4, channel) of rows less their first, from whole float64 arrays."""
    a, b = ((each - each[0]).numpy() for each in (own.double(), others.double()))
    return np.array([a.sum(0), (a**2).sum(0), (a - b).sum(0), ((a - b) ** 2).sum(0)])


@given(count=st.integers(1, 300), channels=st.integers(1, 130), seed=st.integers(0, 99))
def test_sums_of_any_shape_are_numpys(count, channels, seed):
    own, others = rows(count, channels, seed), rows(count, channels, seed + 1)
    found = sums.summed_beside(own, own[0], others, others[0])
    np.testing.assert_allclose(found, expected(own, others), rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(sums.summed(own, own[0]), found[:2], rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("threads", [2, 3, 16])
def test_the_number_of_threads_does_not_matter(threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2 * threads)
    monkeypatch.setattr(sums, "PARTED", 1)
    own, others = rows(4001, 12), rows(4001, 12, 1)
    found = sums.summed_beside(own, own[0], others, others[0])
    np.testing.assert_allclose(found, expected(own, others), rtol=1e-12)


def test_more_threads_than_rows_are_no_fault(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    monkeypatch.setattr(sums, "PARTED", 1)
    own = rows(3, 100)
    np.testing.assert_allclose(sums.summed(own, own[0]), expected(own, own)[:2], rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torchs_operations_on_other_devices_give_the_same(dtype):
    own, others = rows(5000, 24).to(dtype), rows(5000, 24, 1).to(dtype)
    by_torch = sums._by_torch(sums._powers_beside, own, own[0], others, others[0])
    torch.testing.assert_close(by_torch, sums.summed_beside(own, own[0], others, others[0]), rtol=1e-12, atol=1e-9)
    torch.testing.assert_close(sums._by_torch(sums._powers, own, own[0]), by_torch[:2], rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("wild", [float("inf"), float("nan")])
def test_what_is_not_finite_stays_in_its_channel(wild):
    own = rows(64, 3)
    own[40, 1] = wild
    found = sums.summed(own, own[0])
    assert not found[:, 1].isfinite().any()
    assert found[:, [0, 2]].isfinite().all()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_rows_are_pixels_in_any_layout_of_memory(layout):
    output = torch.arange(24.0).reshape(2, 3, 2, 2).contiguous(memory_format=layout)
    found = sums.rows_of(output)
    assert found.shape == (8, 3)
    assert found[5].tolist() == output[1, :, 0, 1].tolist()


def test_half_precision_is_widened():
    assert sums.rows_of(torch.ones(1, 1, 1, 1, dtype=torch.float16)).dtype == torch.float32


def test_loops_are_compiled_where_no_folder_can_be_written_to(monkeypatch):
    compile_it = numba.njit

    def unwritable(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return compile_it(**options)

    monkeypatch.setattr(numba, "njit", unwritable)
    twice = loops._compiled(lambda rows: 2 * rows)
    assert twice(21) == 42
