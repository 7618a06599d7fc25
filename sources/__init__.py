"""Where raw data comes from: your files or the synthetic business, both delivered under the same contracts.

This package knows the raw tables and nothing of the warehouse, of dbt, of Dagster or of the models.
"""
