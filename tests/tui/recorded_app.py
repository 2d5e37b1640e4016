"""The app on a recording, in the terminal that this is started in: `python recorded_app.py monitor|picker FOLDER`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from recorded import RecordedTraining, RecordedWriter, write_run

from tui_trainer.presets import list_presets
from tui_trainer.tui.app import TrainerApp
from tui_trainer.tui.driver import driver_on
from tui_trainer.tui.services import Services
from tui_trainer.tui.terminal import environment_at_start, judge_terminal
from tui_trainer.tui.theme_choice import choose_theme

KOREAN = ["값은 ", "이것이다. ", "🙂 ", "done."]


def main(kind: str, folder: Path) -> int:
    environ = environment_at_start()
    terminal = judge_terminal(environ)
    services = Services(launch=lambda config, preset: None, open_writer=lambda run: RecordedWriter(KOREAN))
    first, *others = list_presets()
    what: dict[str, object] = {"presets": [first, replace(others[0], name="한글-시험"), *others[1:]]}
    if kind == "monitor":
        what = {"training": (RecordedTraining(write_run(folder, "overfitting", 0.8)), "quick-test")}
    app = TrainerApp(
        services,
        driver_class=driver_on(2, terminal.signs),
        terminal=terminal,
        theme_name=choose_theme(environ, terminal),
        **what,
    )
    app.run()
    return app.return_code or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
