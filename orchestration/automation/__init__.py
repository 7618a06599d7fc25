"""When the assets are refreshed, and who hears of it: jobs, the daily schedule, sensors.

One mechanism a reason: the schedule goes by the clock, the landing sensor by files. Churn models are trained again
within a refresh when that is due (`PULSE_RETRAIN_DAYS`), so training has no schedule of its own.
"""

from orchestration.automation.jobs import PUBLISH, RAW, REFRESH, build_jobs, build_schedules
from orchestration.automation.sensors import build_sensors

__all__ = ["PUBLISH", "RAW", "REFRESH", "build_jobs", "build_schedules", "build_sensors"]
