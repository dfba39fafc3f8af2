"""Who did it: identifiers, their limits, the solver (spec 2). Knows neither Dagster nor dbt."""
