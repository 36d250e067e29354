"""What the figure of a factor that runs away says."""

import pandas as pd

from asr_core.figures import runaway
from asr_core.report.sentences import ideas


def said(*rows) -> str:
    return ideas.runaway(pd.DataFrame(list(rows), columns=runaway.COLUMNS))


def test_one_sparsity_is_said_once():
    assert said((0.8, 0.5, 5.43)).count("5.43 at 80 %") == 1


def test_of_several_the_first_and_the_last_are_said():
    text = said((0.5, 0.1, 1.5), (0.8, 0.5, 5.43), (0.9, 0.75, 9.0))
    assert "1.5 at 50 %, 9 at 90 %, where on average 75% of a layer's channels" in text
