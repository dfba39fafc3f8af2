"""Customer events from raw exports to published tables: intake, identity, timelines, goals, segments, triggers."""

__version__ = "0.1.0"
