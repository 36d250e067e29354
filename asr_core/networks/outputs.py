"""The logits of the images' classes, of networks that return more: a dict or tuple, or a head of more outputs."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn


class Unlike(ValueError):
    """Of what a network returns, what was asked for is not there."""


def shaped(network: nn.Module, logits: str | None, columns: tuple[int, ...]) -> nn.Module:
    """The network, which from now on returns only its `logits` (a key or an index), and of them only `columns`, in
    that order (none: all). Done by a hook, so that names of layers stay."""
    if logits is not None or columns:
        network.register_forward_hook(partial(_picked, logits=logits, columns=columns))
    return network


def _picked(_: nn.Module, __: Any, given: Any, *, logits: str | None, columns: tuple[int, ...]) -> Any:
    found = given if logits is None else _named(given, logits)
    if columns and isinstance(found, torch.Tensor):
        if found.ndim != 2 or found.shape[1] <= max(columns):
            raise Unlike(f"the network returns shape {tuple(found.shape)}; the class map asks for {max(columns)}.")
        return found[:, list(columns)]
    return found


def _named(given: Any, logits: str) -> Any:
    """An entry of what the network returns, by its key, attribute or index."""
    if isinstance(given, Mapping) and logits in given:
        return given[logits]
    if not isinstance(given, Mapping) and logits.lstrip("-").isdigit():
        number = int(logits)
        if isinstance(given, (tuple, list)) and -len(given) <= number < len(given):
            return given[number]
    elif isinstance(getattr(given, logits, None), torch.Tensor) and not isinstance(given, torch.Tensor):
        return getattr(given, logits)
    raise Unlike(f"logits is {logits!r}, but the network returns {described(given)}.")


def described(given: Any) -> str:
    """What a network returned, in words: 'a mapping of 'logits', 'features''."""
    if isinstance(given, Mapping):
        return f"a mapping of {', '.join(map(repr, given))}"
    if isinstance(given, (tuple, list)):
        return f"a {type(given).__name__} of {len(given)}"
    return f"a {type(given).__name__}"
