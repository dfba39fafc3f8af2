"""Who did it: identifiers, their limits, the solver. Knows neither Dagster nor dbt."""
