"""Calibration: measure what a reader can read at each rung, on charts of random text."""

from .asking import Asker, asker_for
from .eye_charts import KINDS, Chart, ChartName, Probe
from .run import Bounds, Price, Record, Settings, price_of, run, usable_kinds
from .scoring import Answered, Score, wilson
from .verdict import Verdict, plot, profile_with, verdict_of, write_profile

__all__ = [
    "KINDS",
    "Answered",
    "Asker",
    "Bounds",
    "Chart",
    "ChartName",
    "Price",
    "Probe",
    "Record",
    "Score",
    "Settings",
    "Verdict",
    "asker_for",
    "plot",
    "price_of",
    "profile_with",
    "run",
    "usable_kinds",
    "verdict_of",
    "wilson",
    "write_profile",
]
