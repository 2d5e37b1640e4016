"""`python -m tui_trainer`: the same as `tui-trainer`."""

from tui_trainer.cli import main

main()
