"""What Dagster sees of eventpipe: one module per Dagster concept. Nothing outside of here and `eventpipe.definitions`
knows Dagster.
"""
