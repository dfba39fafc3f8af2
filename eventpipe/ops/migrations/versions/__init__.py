"""One module per revision, named `r<number>_<what>.py`; the newest number is `eventpipe.ops.schema.HEAD`."""
