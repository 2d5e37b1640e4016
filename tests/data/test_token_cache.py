import subprocess
import sys

from tui_trainer.data.token_cache import entry_key, new_entry, remove_entry


def test_orphans_of_killed_processes_go_and_living_ones_stay(tmp_path):
    cache = tmp_path / "cache"
    code = "import sys, pathlib, os\nfrom tui_trainer.data.token_cache import new_entry\n"
    code += "with new_entry(pathlib.Path(sys.argv[1]), 'key') as folder:\n    os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(cache)], check=False)
    assert len(list(cache.glob(".new-*"))) == 1
    with new_entry(cache, "one") as living, new_entry(cache, "two"):
        assert living.is_dir()
        assert len(list(cache.glob(".new-*"))) == 2
    assert sorted(path.name for path in cache.iterdir()) == ["one", "two"]


def test_the_first_of_two_wins_and_a_removed_entry_makes_room(tmp_path):
    cache, key = tmp_path / "cache", entry_key("tokens", 0.1)
    for content in ("first", "second"):
        with new_entry(cache, key) as folder:
            (folder / "file").write_text(content)
    assert (cache / key / "file").read_text() == "first"
    remove_entry(cache, key)
    remove_entry(cache, key)
    assert not list(cache.iterdir())


def test_the_room_needs_no_torch_and_no_screen():
    code = "import sys, tui_trainer.data.batches, tui_trainer.data.tokens\n"
    code += (
        "print([name for name in ('torch', 'textual', 'rich', 'rustbpe', 'tui_trainer.runs') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
