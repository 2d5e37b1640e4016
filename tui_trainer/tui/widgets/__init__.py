"""One file a visible pane."""
