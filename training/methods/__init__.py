"""Training methods: one file a method, chosen by ``noisyweb train --method``."""
