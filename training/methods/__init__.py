"""Training methods: one file a method, chosen by ``noisyweb train --method``.

A method's module has these names (`noisyweb.training.method` says what they must do):

    Options                           a frozen dataclass, the method's own hyper-parameters
    resolve(given, facts) -> Options  fills in what the user left open, from the data's noise
    create(options, setting)          the `Method` whose ``step`` gives the loss
    SUMMARY                           one line for ``noisyweb train --list``
    COST                              of a step, in plain steps; 1 if not given
    NETWORKS                          how many networks it trains; 1 if not given
"""
