"""The screen: a Textual app that polls a run directory a few times a second. It never imports torch."""
