"""Spark, for what one machine no longer holds: sessions, and scoring on executors.

Nothing here is imported unless `PULSE_TARGET` is spark, and pyspark only inside functions: it is an extra.
"""
