"""Small tables for the sentences of signal, of the idea and of the lesson: see `examples`."""

import numpy as np
import pandas as pd

from asr_core.measure.errorparts import PARTS
from asr_core.report.sentences import ideas, signals
from asr_core.report.sentences.examples import ASR, LW, NAN, RAW, Case, of
from asr_core.spec.repairs import DENSE, NO_REPAIR


def _error(parts: tuple[float, float, float], rho: float = 0.5, mendable: float = 0.7) -> pd.DataFrame:
    """Of no repair and two repairs in one layer, whose errors and correlations differ."""
    table = of([NO_REPAIR, LW, ASR], rho=[rho, 0.9 * rho, 1.1 * rho], mendable=mendable)
    return table.assign(**dict(zip(PARTS, parts, strict=True)))


def profile() -> list[Case]:
    """Of signals.profile."""
    alike = of([NO_REPAIR, LW, ASR], rho=0.5, mendable=0.7)
    return [
        ("usual", lambda: signals.profile(_error((0.1, 0.2, 0.4)))),
        ("no error", lambda: signals.profile(_error((0.0, 0.0, 0.0), mendable=NAN))),
        ("all equal", lambda: signals.profile(alike)),
        ("repairs alone, none defined", lambda: signals.profile(of([LW, ASR], rho=NAN, mendable=NAN))),
    ]


def parts() -> list[Case]:
    """Of signals.parts."""
    some = pd.concat([_error((0.1, 0.2, 0.4)), _error((NAN, NAN, NAN))], ignore_index=True)
    return [
        ("usual", lambda: signals.parts(_error((0.1, 0.2, 0.4)))),
        ("no error", lambda: signals.parts(_error((0.0, 0.0, 0.0)))),
        ("not finite in any layer", lambda: signals.parts(_error((NAN, np.inf, NAN)))),
        ("not finite in one layer", lambda: signals.parts(some)),
    ]


def _shrinkage(rho: list[float], shrinkage: list[float], left_out: int = 0) -> str:
    rows = {"layer": "layer1", "channel": range(len(rho)), "rho": rho, "shrinkage": shrinkage, "left_out": left_out}
    return signals.shrinkage(pd.DataFrame(rows))


def shrinkage() -> list[Case]:
    """Of signals.shrinkage."""
    return [
        ("usual", lambda: _shrinkage([0.1, 0.4, 0.8], [0.3, 0.5, 0.6], left_out=2)),
        ("all equal", lambda: _shrinkage([0.5] * 3, [0.5] * 3)),
        ("two channels", lambda: _shrinkage([0.1, 0.4], [0.3, 0.5])),
    ]


def _layer(pruned: list[float], scalar: float) -> str:
    left = np.array(pruned)
    shares = {NO_REPAIR: left, LW: scalar * left, RAW: np.ones(len(left)), ASR: np.minimum(1, 2 * left)}
    rows = [of([network] * len(left), layer="layer1", share=values) for network, values in shares.items()]
    return ideas.layer(pd.concat(rows, ignore_index=True))


def layer() -> list[Case]:
    """Of ideas.layer."""
    return [
        ("usual", lambda: _layer([0.01, 0.2, 0.5], 3)),
        ("all equal", lambda: _layer([0.5] * 3, 2)),
        ("diverged", lambda: _layer([0.5, 0.9], 1e60)),
        ("not finite", lambda: _layer([0.5, np.inf], 2)),
    ]


def _depth(shares: list[float]) -> str:
    first = of([NO_REPAIR, LW, ASR], label=["pruned", "one scalar", "shrinkage"], layer="conv1", depth=0, share=1.0)
    last = first.assign(layer="conv2", depth=1, share=shares)
    return ideas.depth(pd.concat([first, last], ignore_index=True))


def depth() -> list[Case]:
    """Of ideas.depth."""
    return [
        ("usual", lambda: _depth([0.01, 0.4, 0.8])),
        ("diverged", lambda: _depth([0.01, 1e60, np.inf])),
        ("all dead", lambda: _depth([0.0, 0.0, NAN])),
    ]


def _batchnorm(before: list[float], after: list[float]) -> str:
    networks = [DENSE, NO_REPAIR, LW, ASR]
    rows = [
        of(networks[: len(top1)], when=when, top1=top1)
        for when, top1 in ((ideas.BEFORE, before), (ideas.AFTER, after))
        if top1
    ]
    return ideas.batchnorm(pd.concat(rows, ignore_index=True))


def batchnorm() -> list[Case]:
    """Of ideas.batchnorm."""
    return [
        ("usual", lambda: _batchnorm([0.92, 0.13, 0.3, 0.33], [0.92, 0.13, 0.72, 0.72])),
        ("not stored anew", lambda: _batchnorm([0.92, 0.13, 0.3, 0.33], [])),
        ("no repair stored", lambda: _batchnorm([0.92, 0.13], [0.92])),
    ]


def _runaway(*rows: tuple[float, float, float]) -> str:
    return ideas.runaway(pd.DataFrame(list(rows), columns=["sparsity", "collapsed", "gamma_lw"]))


def runaway() -> list[Case]:
    """Of ideas.runaway."""
    return [
        ("usual", lambda: _runaway((0.5, 0.1, 1.2), (0.8, 0.3, 2.5), (0.95, 0.9, 40))),
        ("one sparsity", lambda: _runaway((0.9, 0.5, 3))),
        ("one is not known", lambda: _runaway((0.5, 0.1, NAN), (0.9, 0.5, 3))),
    ]
