"""The chart of the monitor: which steps, which curves, which signs; the widget that shows it is `widgets/chart.py`."""
