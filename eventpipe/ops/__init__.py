"""The ops store: what no rebuild can produce again (runs, leases, backfills, memberships, decisions, deliveries)."""
