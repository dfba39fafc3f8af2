"""The audit between model and publish: what a run made, held against what it must satisfy."""
