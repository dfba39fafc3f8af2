"""Exports to lake: framing, presets and mappings, normalisation, the contract, one Parquet file per export."""
