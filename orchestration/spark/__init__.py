"""Building on Spark: servers for trying it, the connection, and what passes between Spark's tables and the warehouse.

Imported only where PULSE_TARGET says spark, or by `pulse spark`; pyspark only inside functions. No models: those are
dbt's, the same for both engines.
"""
