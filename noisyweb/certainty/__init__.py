"""Certainty: how many of the web images that annotators called wrong really are wrong, since annotators err.

votes --ballots--> two_coin (the model, most probable rates) --spread, gibbs--> joint draws --level--> an interval
"""

from noisyweb.certainty.level import Certainty, WrongDraws, posterior, wrong_draws

__all__ = ["Certainty", "WrongDraws", "posterior", "wrong_draws"]
