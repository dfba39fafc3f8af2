"""Counts in sentences for people."""

from __future__ import annotations


def several(count: int, noun: str) -> str:
    """A number of things, with thousands set apart: 1 export, 2,000 exports. Nouns with a plural in -s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
