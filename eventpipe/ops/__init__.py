"""The ops store: what no rebuild can produce again (runs, the writer's lease, backfills)."""
