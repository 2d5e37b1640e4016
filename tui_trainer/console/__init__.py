"""Plain lines: for pipes, logs, scripts and screen readers."""
