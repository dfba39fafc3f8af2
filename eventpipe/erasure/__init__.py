"""Erasure: a person is forgotten everywhere, and stays so (spec 5, promise 6)."""
