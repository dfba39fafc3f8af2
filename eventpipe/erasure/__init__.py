"""Erasure: a person is forgotten everywhere, and stays so."""
