"""What Dagster sees of eventpipe, one module per concept. Only here and in `eventpipe.definitions` is Dagster
known.
"""
