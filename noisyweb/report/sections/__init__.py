"""The report's sections: one file each, found by name.

A section has ``ORDER`` (an int: the smaller, the earlier) and ``draw(inputs: ReportInputs) -> Section``. Where there is
nothing to show, `Section.missing` says why and which command would give it.
"""
