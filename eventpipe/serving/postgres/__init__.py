"""The published tables in PostgreSQL."""
