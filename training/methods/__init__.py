"""Training methods: one file a method, chosen by ``noisyweb train --method``.

A method's module has three names (`noisyweb.training.method` says what they must do):

    Options                           a frozen dataclass, the method's own hyper-parameters
    resolve(given, facts) -> Options  fills in what the user left open, from the data's noise
    create(options, ...) -> Method    the object whose ``step`` gives the loss
"""
