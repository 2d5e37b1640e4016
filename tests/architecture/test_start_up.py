"""The screen, the picker and the small commands must not wait for torch."""

import subprocess
import sys

import pytest


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import tui_trainer.tui.app, tui_trainer.tui.screens.picker",
        "import tui_trainer.cli.screen",
        "import tui_trainer.training.launch",
        "import tui_trainer.monitor.forecast, tui_trainer.console.tables",
    ],
)
def test_importing_does_not_import_torch(code):
    assert "torch" not in modules_after(code)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["presets"],
        ["presets", "show", "small"],
        ["runs"],
        [],
        ["export", "none", "--out", "x"],
    ],
)
def test_small_commands_do_not_import_torch(arguments):
    code = (
        "import sys, io, contextlib\n"
        f"sys.argv = ['tui-trainer', *{arguments!r}]\n"
        "from tui_trainer.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): main()"
    )
    assert "torch" not in modules_after(code)


def test_picker_paints_every_preset_without_torch():
    code = (
        "import asyncio\n"
        "from tui_trainer.presets import list_presets\n"
        "from tui_trainer.tui.app import TrainerApp\n"
        "from tui_trainer.tui.services import Services\n"
        "async def main():\n"
        "    app = TrainerApp(Services(None, None), presets=list_presets())\n"
        "    async with app.run_test() as pilot:\n"
        "        for _ in range(8): await pilot.press('down')\n"
        "asyncio.run(main())"
    )
    assert "torch" not in modules_after(code)
