"""Consensus: what an image's votes come to, how far annotators agree, and what another vote would tell.

votes --tally--> methods/ (majority, Dawid-Skene, GLAD) --verdicts--> verdicts
                 agreement, annotators;  wanted, effort, worth: what is missing
"""

from noisyweb.consensus.verdicts import TIE, TOO_FEW, is_stale, majority, summary, update, verdicts_of

__all__ = ["TIE", "TOO_FEW", "is_stale", "majority", "summary", "update", "verdicts_of"]
