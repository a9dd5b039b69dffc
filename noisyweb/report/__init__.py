"""The report: a data set, its noise, and what was learned on it, as one file."""
