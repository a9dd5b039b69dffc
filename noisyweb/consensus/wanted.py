"""How many votes a question wants: three, two more where these do not agree, and on until it is decided.

A question with y yes, n no and u unsure votes is closed once one of these holds:

- it has ``first`` votes or more, all alike, none of them unsure;
- it has ``first + MORE`` votes or more, ``first`` of them decisive, and y != n;
- it has `MAX_VOTES`: then it stays undecided if it is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FIRST, MORE, MAX_VOTES = 3, 2, 9


def wanted(yes: npt.ArrayLike, no: npt.ArrayLike, unsure: npt.ArrayLike, first: int = FIRST) -> npt.NDArray[np.int64]:
    """Votes that each question wants in all, given those it has; as many as it has where it is closed.

    Args:
        yes, no, unsure: votes so far, of one shape.
        first: votes asked at first, 1 to `MAX_VOTES`.

    Returns:
        Of the same shape; never less than the votes so far.
    """
    y, n, u = (np.asarray(each, np.int64) for each in (yes, no, unsure))
    votes = y + n + u
    alike = ((y == 0) | (n == 0)) & (u == 0)
    settled = (y != n) & (y + n >= first)
    most = max(MAX_VOTES, first + MORE)
    more = np.where(votes < first + MORE, first + MORE, np.where(settled, votes, votes + 1))
    target = np.where(votes < first, first, np.where(alike, votes, np.minimum(more, most)))
    result: npt.NDArray[np.int64] = np.maximum(target, votes)
    return result
