"""`python -m volgauge`."""

from volgauge.cli import enter

enter()
