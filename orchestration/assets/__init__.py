"""The assets, one module a stage: raw, transforms (dbt), insights (ml), reports, publish."""
