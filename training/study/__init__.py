"""A study: a grid of training runs over manifests, methods, networks and seeds, its table, and what it says.

cells.py       which runs there are
settings.py    what they share, written down when a study begins
claims.py      which process is at which run, also over several machines
work.py        train what is left; jobs.py: in several processes
results.py     a row for each run, and the table of means over seeds
findings.py    the paper's findings, answered with numbers; statistics.py: their intervals
"""
