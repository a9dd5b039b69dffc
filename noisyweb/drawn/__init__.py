"""The drawn edition: images drawn by code, so that everything runs offline.

A stand-in for running, testing and teaching, never for claims. Everything is deterministic in the seed.
"""
