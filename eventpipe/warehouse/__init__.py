"""The working database: opened by the pipeline only, planned per run, modelled by dbt."""
