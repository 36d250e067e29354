"""What files of jobs and speeds must say to be read. Imports nothing of jobs."""

from typing import Any, NotRequired, TypedDict

Speed = dict[str, float]  # start, build, assemble: seconds; decode and each stage: seconds per image


class Line(TypedDict):
    """A line of progress.jsonl, see `asr_core.jobs.tracking`."""

    stage: str
    network: dict[str, Any]
    images: int
    of_images: int
    tasks: int
    of_tasks: int
    view: NotRequired[int]
    seconds_left: float
    share: float
    slowdown: float


class Speeds(TypedDict):
    """speeds.json, see `asr_core.jobs.estimate`: name -> rates of a network, name -> seconds to decode an image."""

    networks: dict[str, Speed]
    decoding: dict[str, float]
