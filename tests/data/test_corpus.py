import hashlib
import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.config import DataConfig
from tui_trainer.data.corpus import Corpus, explain_line_ends, find_openings, open_corpus
from tui_trainer.data.text_files import TEXT_SUFFIXES
from tui_trainer.errors import UserError


def opened(*paths: Path | str, base: Path | None = None) -> Corpus:
    return open_corpus(DataConfig(paths=tuple(map(str, paths))), base)


def text_of(corpus: Corpus, size: int = 1 << 20) -> str:
    return "".join(corpus.chunks(size))


def check_message(error: pytest.ExceptionInfo[UserError], *words: str) -> None:
    message = str(error.value)
    assert len(message.splitlines()) <= 3
    for word in words:
        assert word in message


def make_missing(path):
    pass


def make_empty(path):
    path.touch()


def make_empty_folder(path):
    path.mkdir()


def make_folder_without_text(path):
    path.mkdir()
    (path / "picture.png").write_bytes(b"x")
    (path / ".hidden.txt").write_text("secret")
    (path / "empty.txt").touch()


def make_dangling_link(path):
    path.symlink_to(path.parent / "nowhere")


def make_link_loop(path):
    path.symlink_to(path)


def make_fifo(path):
    os.mkfifo(path)


def make_link_to_fifo(path):
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to(path.with_name("pipe"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_missing, "no such file"),
        (make_empty, "empty"),
        (make_empty_folder, "no text in this folder"),
        (make_folder_without_text, "no text in this folder"),
        (make_dangling_link, "a symbolic link to nothing"),
        (make_link_loop, "symbolic links"),
        (make_fifo, "a pipe"),
        (make_link_to_fifo, "a pipe"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.timeout(10)
def test_what_is_no_text_file_is_refused_without_opening_it(tmp_path, make, reason, monkeypatch):
    path = tmp_path / "input.txt"
    make(path)
    monkeypatch.setattr(os, "open", None)
    with pytest.raises(UserError) as error:
        opened(path)
    check_message(error, str(path), reason, "--data PATH")


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # A socket's path must be short.
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.txt")
        with pytest.raises(UserError) as error:
            opened("s.txt")
    check_message(error, "s.txt", "a socket")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_devices_are_refused(path):
    with pytest.raises(UserError) as error:
        opened(path)
    check_message(error, path, "a device")


def test_a_file_without_permission_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "secret.txt"
    path.write_text("x")
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError) as error:
        opened(path)
    check_message(error, str(path), "no permission", "--data PATH")
    with pytest.raises(UserError) as error:
        opened(tmp_path)
    check_message(error, str(path), "no permission")


def test_a_glob_without_a_match_is_refused(tmp_path):
    with pytest.raises(UserError) as error:
        opened(tmp_path / "*.txt")
    check_message(error, "*.txt", "glob", "--data PATH")


@pytest.mark.parametrize("entry", ["", "a\0b", "x" * 5000, "~nobody-by-this-name/x", "file.txt/inside"])
def test_impossible_paths_are_refused(tmp_path, entry):
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(UserError) as error:
        opened(entry, base=tmp_path)
    check_message(error, "--data PATH")


def test_messages_and_names_show_no_control_characters(tmp_path):
    name = "a\x1b]52;c;x\x07\n\u202e\x9b.txt"
    with pytest.raises(UserError) as error:
        opened(tmp_path / name)
    check_message(error, r"\x1b]52", r"\n", r"\u202e", r"\x9b")
    (tmp_path / name).write_text("hello")
    assert opened(tmp_path / name).name.isprintable()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"abc\0def", "binary"),
        (b"x" * (1 << 20) + b"\xff", "byte 1048576"),
        (b"ab\xffcd", "byte 2"),
        (b"\xef\xbb\xbfab\xff", "byte 5"),
        ("äöü".encode()[:-1], "byte 4"),
        (b"ab\xed\xa0\x80", "byte 2"),
        ("text".encode("utf-16"), "UTF-16"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
def test_what_is_not_utf8_is_refused_with_its_place(tmp_path, content, reason, size):
    if size < 7 and len(content) > 1000:
        size = 4099
    path = tmp_path / "input.txt"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        text_of(opened(path), size)
    check_message(error, str(path), reason)


def test_a_file_of_only_a_byte_order_mark_is_empty(tmp_path):
    path = tmp_path / "mark.txt"
    path.write_bytes(b"\xef\xbb\xbf")
    with pytest.raises(UserError) as error:
        opened(path).fingerprint()
    check_message(error, str(path), "empty")


def test_the_mark_is_dropped_and_line_ends_stay(tmp_path):
    path = tmp_path / "input.txt"
    path.write_bytes("\ufeffone\r\ntwo\rthree\n\ufeff".encode())
    assert text_of(opened(path)) == "one\r\ntwo\rthree\n\ufeff"


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), min_size=1))
def test_chunks_of_any_size_join_to_the_text(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("corpus") / "input.txt"
    path.write_bytes(text.encode())
    corpus = opened(path)
    for size in (1, 2, 3, 5, 1 << 20):
        assert text_of(corpus, size) == text
    assert corpus.fingerprint() == hashlib.sha256(text.encode()).hexdigest()
    assert corpus.size_bytes == corpus.measure().bytes == len(text.encode())


def test_a_folder_is_searched_for_text_files(tmp_path):
    for name in ("b.txt", "a.md", "sub/c.py", "sub/.git/x.txt", ".hidden.txt", "d.png", "UPPER.TXT"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "empty.txt").touch()
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "broken.txt").symlink_to("nowhere")
    corpus = opened(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in corpus.paths] == ["UPPER.TXT", "a.md", "b.txt", "sub/c.py"]
    assert text_of(corpus) == "UPPER.TXT\n\na.md\n\nb.txt\n\nsub/c.py"
    assert corpus.size_bytes == corpus.measure().bytes
    assert "4 files" in corpus.name
    assert {".txt", ".md", ".rst", ".text", ".tex", ".csv", ".json", ".jsonl", ".py"} <= TEXT_SUFFIXES


def test_globs_relative_paths_and_duplicates(tmp_path, monkeypatch):
    base = tmp_path / "odd[1]"
    for name in ("a.txt", "deep/er/b.log", "[x].txt"):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(name)
    (base / "link.txt").symlink_to("a.txt")
    corpus = opened("a.txt", "**/*.log", "link.txt", str(base / "a.txt"), "[x].txt", base=base)
    assert [path.name for path in corpus.paths] == ["a.txt", "b.log", "[x].txt"]
    monkeypatch.chdir("/")
    again = opened(*corpus.resolve())
    assert again.paths == corpus.paths
    assert again.fingerprint() == corpus.fingerprint()
    monkeypatch.chdir(base)
    assert opened("a.txt").paths == (base / "a.txt",)
    monkeypatch.setenv("HOME", str(base))
    assert opened("~/a.txt").resolve() == (str(base / "a.txt"),)


def test_a_folder_stays_a_folder_in_the_configuration(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    assert opened(tmp_path.name, base=tmp_path.parent).resolve() == (str(tmp_path),)


def test_the_embedded_text_needs_no_file():
    corpus = open_corpus(DataConfig())
    assert corpus.is_embedded
    assert corpus.paths == corpus.resolve() == ()
    assert corpus.size_bytes == corpus.measure().bytes > 100_000
    assert text_of(corpus, 1000) == text_of(corpus)


@pytest.mark.timeout(10)
def test_a_file_that_vanishes_or_turns_into_a_pipe_is_an_error_when_read(tmp_path):
    path = tmp_path / "input.txt"
    path.write_text("x")
    corpus = opened(path)
    path.unlink()
    with pytest.raises(UserError) as error:
        corpus.fingerprint()
    check_message(error, str(path), "No such file")
    os.mkfifo(path)
    assert stat.S_ISFIFO(path.stat().st_mode)
    with pytest.raises(UserError) as error:
        corpus.fingerprint()
    check_message(error, str(path), "not a regular file")


def make_product(folder: Path, *marks: str) -> Path:
    """A directory that this program wrote, with text in it and below it."""
    for name in (*(marks or ("run.json", "config.toml")), "events.jsonl", "console.log", "tokenizer/tokenizer.json"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("ours")
    return folder


def test_runs_and_exports_in_a_folder_are_no_text_of_it(tmp_path, monkeypatch):
    notes = tmp_path / "notes"
    (notes / "sub").mkdir(parents=True)
    (notes / "a.txt").write_text("mine")
    (notes / "sub" / "run.json").write_text("mine, too")
    monkeypatch.chdir(notes)
    before = opened(".")
    assert (before.name, before.skipped) == ("notes (2 files)", "")
    make_product(notes / "runs" / "20261123-170806-small")
    make_product(notes / "sub" / "out")
    make_product(notes / "copied by hand")
    make_product(notes / "model", "EXPORT.md", "export.json")
    (notes / "linked").symlink_to("runs")
    after = opened(".")
    assert (after.paths, after.fingerprint()) == (before.paths, before.fingerprint())
    assert after.name == "notes (2 files, 3 runs, 1 export skipped)"
    for pattern in ("**", "**/*", str(notes / "**" / "*.*"), "*/**"):
        assert set(opened(pattern).paths) <= set(before.paths)
        assert "3 runs, 1 export skipped" in opened(pattern).name, pattern
    assert opened(".", "**").name == "notes and 1 more (3 runs, 1 export skipped)"


def test_what_is_named_in_a_run_is_meant(tmp_path):
    run = make_product(tmp_path / "runs[1]" / "ID")
    assert opened(run / "console.log").paths == (run / "console.log",)
    assert opened(run / "tokenizer").paths == (run / "tokenizer" / "tokenizer.json",)
    corpus = opened("ID/*.log", base=run.parent)
    again = opened(*corpus.resolve())
    assert corpus.paths == again.paths == (run / "console.log",)
    assert corpus.skipped == again.skipped == ""
    with pytest.raises(UserError) as error:
        opened("*/*.log", base=run.parent)
    check_message(error, "no file with text matches this glob; 1 run skipped")


@pytest.mark.parametrize(
    ("marks", "kind"), [((), "the directory of a run"), (("export.json", "EXPORT.md"), "the directory of an export")]
)
def test_a_run_is_no_text(tmp_path, marks, kind):
    made = make_product(tmp_path / "runs" / "ID", *marks)
    (tmp_path / "link").symlink_to(made)
    for path in (made, tmp_path / "link"):
        with pytest.raises(UserError) as error:
            opened(path)
        check_message(error, str(path), kind, "--data PATH")
    with pytest.raises(UserError) as error:
        opened(tmp_path / "runs")
    check_message(error, "no text in this folder", "; 1 ", "skipped")


def test_a_run_that_vanishes_while_its_folder_is_walked_is_no_mistake(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("x")
    gone = tmp_path / "gone"
    gone.mkdir()
    scan_folder = os.scandir

    def scan(path):
        if Path(path) == gone:
            gone.rmdir()
        return scan_folder(path)

    monkeypatch.setattr(os, "scandir", scan)
    assert opened(tmp_path).paths == (tmp_path / "a.txt",)


@pytest.mark.timeout(20)
def test_links_that_lead_back_up_have_an_end(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.txt", "sub/b.txt"):
        (tmp_path / name).write_text(name)
    for link in ("me", "self", "sub/up", "sub/me"):
        (tmp_path / link).symlink_to(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    found = opened(tmp_path).paths
    assert [path.name for path in found] == ["a.txt", "b.txt"]
    for pattern in ("**", "**/*.txt", "**/**/*.txt"):
        assert opened(pattern, base=tmp_path).fingerprint() == opened(tmp_path).fingerprint()


def test_a_glob_follows_links_to_other_folders(tmp_path):
    (tmp_path / "notes" / "deep" / ".git").mkdir(parents=True)
    (tmp_path / "notes" / "deep" / ".git" / "x.txt").write_text("hidden")
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "b.txt").write_text("b")
    (tmp_path / "notes" / "deep" / "linked").symlink_to(tmp_path / "books")
    for pattern in ("**", "**/*.txt", "**/linked/*", "deep/**/b.txt", "**/deep/**"):
        assert [path.name for path in opened(pattern, base=tmp_path / "notes").paths] == ["b.txt"], pattern


def test_a_folder_with_many_files_is_looked_through_once(tmp_path, monkeypatch):
    """Whether a directory is a run is told by the names in it: a walk costs one look a file, as ever."""
    for number in range(40):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "a.txt").write_text("x")
    looks = []
    monkeypatch.setattr(os.path, "isfile", lambda path: looks.append(path) or os.path.exists(path))
    assert len(opened(tmp_path).paths) == 40
    assert len(looks) <= 4, "those at the folder itself"


@pytest.mark.parametrize(
    ("text", "openings"),
    [
        (
            "The king slept at home. She walked down to the sea.\r\n\r\nIt rained upon the roof.",
            ("She walked down", "It rained upon"),
        ),
        (
            "나는 오늘 학교에 갔다. 날씨가 아주 좋은 날이었다. 우리는 함께 밥을 먹었다.",
            ("날씨가 아주 좋은", "우리는 함께 밥을"),
        ),
        ("春眠不觉晓处处闻啼鸟夜来风雨声。床前明月光疑是地上霜举头望明月。", ("春眠不觉晓处处闻", "床前明月光疑是地")),
        (
            "first name list here\nsecond name list here\nthird name list here\n",
            ("second name list", "third name list"),
        ),
        ("same words again and again. " * 9, ("same words again",)),
        ("short", ("short",)),
        (" \n", ()),
    ],
)
def test_openings_are_the_first_words_of_two_sentences(text, openings):
    assert find_openings(text) == openings


@given(st.text())
def test_whatever_the_text_its_openings_are_short(text):
    assert all(0 < len(opening) <= 24 for opening in find_openings(text))


def test_of_a_large_text_only_the_beginning_is_read(tmp_path):
    (tmp_path / "a.txt").write_text("a" * 100)
    (tmp_path / "b.txt").write_bytes(b"b" * 100 + b"\xff")
    corpus = opened(tmp_path / "a.txt", tmp_path / "b.txt")
    assert corpus.beginning(50) == "a" * 50
    assert corpus.beginning(102) == "a" * 100 + "\n\n"


def test_windows_line_ends_are_said_with_their_share():
    assert explain_line_ends("a.txt", "one\ntwo\n") is None
    assert "a.txt: Windows line ends (CRLF)" in explain_line_ends("a.txt", "one\r\ntwo\r\n")[0]
    assert "1 of 2" in explain_line_ends("a.txt", "one\r\ntwo\n")[0]
