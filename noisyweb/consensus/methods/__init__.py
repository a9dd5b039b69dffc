"""How votes become verdicts: one file a method.

Each plug-in has one function::

    def judge(votes: pa.Table, tally: Tally) -> Judgement

``votes`` is a table of `noisyweb.schemas.VOTES`, ``tally`` the same votes counted (`noisyweb.consensus.tally`). What it
gives back says of each of the tally's questions which way the votes lean and how probable it is that the image is what
was asked. Whether a question has votes enough for a verdict is not a method's concern but `noisyweb.consensus`'s.
The same votes in another order must give the same judgement, bit by bit. To add a method, add a file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Judgement:
    """What a method makes of the votes on Q questions.

    Attributes:
        lean: 1: the image is what was asked, -1: it is not, 0: the votes do not say; shape (Q,).
        posterior: probability that the image is what was asked, 0..1, NaN where nothing is known; shape (Q,).
    """

    lean: npt.NDArray[np.int8]
    posterior: npt.NDArray[np.float64]
