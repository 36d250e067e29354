"""What many experiments will cost on this machine, printed before they start."""

from dataclasses import replace

import click

from asr_core.jobs import estimate
from asr_core.pipeline.plan import Task
from asr_core.report import textreport
from asr_core.runtime import Runtime
from asr_core.spec.experiment import ExperimentSpec
from asr_core.spec.keys import recipe_key
from asr_core.store import Store

MEASURED = 4.0  # seconds for each rate of a network, before hours of work
Wanted = tuple[ExperimentSpec, list[Task], str | None]  # an experiment, its missing stages, the file of its weights


def printed(wanted: list[Wanted], what: str, store: Store, where: Runtime) -> list[float]:
    """Print the passes and the expected time of each; returns their seconds. A stage that several need counts once."""
    known: set[tuple] = set()
    speeds: dict[tuple, estimate.Speed] = {}
    costs: list[float] = []
    for spec, missing, weights in wanted:
        names = {(recipe_key(spec), task.stage, task.key): task for task in missing}
        tasks = [task for name, task in names.items() if name not in known]
        known |= names.keys()
        name = estimate.network_name(spec), spec.data
        speeds[name] = speeds.get(name) or _speed(spec, store, replace(where, weights=weights))
        costs.append(estimate.seconds(tasks, speeds[name], len(spec.repairs)))
        click.echo(f"{textreport.cost(spec, tasks)}: {estimate.duration(costs[-1])}")
    click.echo(f"{len(wanted)} {what} to compute, about {estimate.duration(sum(costs))}")
    return costs


def _speed(spec: ExperimentSpec, store: Store, where: Runtime) -> estimate.Speed:
    """This machine's speeds with the threads that will be used, measured now: it may have been busier before."""
    import torch

    from asr_core.jobs import probe

    where.start()
    where = replace(where, threads=torch.get_num_threads())
    probe.measure(spec, store, where, importing=0.0, budget=MEASURED)
    return estimate.speed(spec, store, where.threads)
