"""``noisyweb show``."""
