import errno
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tui_trainer import places
from tui_trainer.config import DataConfig
from tui_trainer.data import tokens as tokens_module
from tui_trainer.data.corpus import open_corpus
from tui_trainer.data.tokenizers import BpeTokenizer, ByteTokenizer, CharTokenizer, Tokenizer
from tui_trainer.data.tokenizers.added_tokens import AddedToken
from tui_trainer.data.tokens import TokenSplit, prepare_tokens, token_type
from tui_trainer.errors import UserError

TEXT = "The cat's 한국어 문장 🙂 int main() {\r\n\treturn 0;\r\n}\n\n" * 400
KINDS = ["gpt2", "bpe", "char", "bytes"]


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "input.txt"
    path.write_bytes(TEXT.encode())
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def config_for(path: Path | None, **changes) -> DataConfig:
    return DataConfig(**{"paths": (str(path),) if path else (), "vocab_size": 300, **changes})


def prepare(config: DataConfig, cache: Path | None, tokenizer: Tokenizer | None = None, on_progress=None):
    return prepare_tokens(
        open_corpus(config),
        config,
        tokenizer=tokenizer,
        on_progress=on_progress or (lambda done, total: None),
        cache=cache,
    )


def same(left: TokenSplit, right: TokenSplit) -> bool:
    return left.train.tolist() == right.train.tolist() and left.val.tolist() == right.val.tolist()


def test_an_added_token_with_white_space_is_not_cut(tmp_path, cache):
    text_file = tmp_path / "input.txt"
    text_file.write_text("x y z " * 400_000)  # more than one read
    ranks = {bytes([byte]): byte for byte in range(256)}
    tokenizer = BpeTokenizer("bpe", ranks, special_tokens={}, added_tokens=[AddedToken("y z", 256)])
    split = prepare(config_for(text_file), cache, tokenizer)[1]
    sides = np.concatenate((split.train, split.val))
    border = split.train_bytes
    content = text_file.read_text()
    wanted = [*tokenizer.encode(content[:border]), *tokenizer.encode(content[border:])]
    assert np.array_equal(sides, np.array(wanted))
    assert (sides == 256).sum() >= 399_999


@pytest.fixture
def count_encodings(monkeypatch):
    """How many times the text was encoded and a tokenizer learned."""
    counts = {"encoded": 0, "learned": 0}
    write, learn = tokens_module._write_entry, tokens_module.learn_tokenizer

    def counting_write(*arguments):
        counts["encoded"] += 1
        return write(*arguments)

    def counting_learn(*arguments):
        counts["learned"] += 1
        return learn(*arguments)

    monkeypatch.setattr(tokens_module, "_write_entry", counting_write)
    monkeypatch.setattr(tokens_module, "learn_tokenizer", counting_learn)
    return counts


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("val_fraction", [0.1, 0.5, 1e-9, 1 - 1e-9])
def test_both_sides_decode_to_the_text(text_file, cache, kind, val_fraction):
    tokenizer, split = prepare(config_for(text_file, tokenizer=kind, val_fraction=val_fraction), cache)
    content = TEXT.encode()
    assert tokenizer.decode_bytes(split.train.tolist()) == content[: split.train_bytes]
    assert tokenizer.decode_bytes(split.val.tolist()) == content[split.train_bytes :]
    assert split.train_bytes + split.val_bytes == len(content)
    assert 0 <= len(content) * (1 - val_fraction) - split.train_bytes < 5
    assert tokenizer.token_byte_lengths[split.val].sum() == split.val_bytes
    assert tokenizer.encode(content[: split.train_bytes].decode()).tolist() == split.train.tolist()
    assert split.fingerprint == open_corpus(config_for(text_file)).fingerprint()
    assert split.train.dtype == np.uint16
    assert not split.train.flags.writeable


def test_a_second_run_and_a_resume_use_the_cache(text_file, cache, count_encodings):
    config = config_for(text_file)
    tokenizer, first = prepare(config, cache)
    again, second = prepare(config, cache)
    _, resumed = prepare(config, cache, tokenizer)
    assert count_encodings == {"encoded": 1, "learned": 1}
    assert same(first, second)
    assert same(first, resumed)
    assert again.fingerprint == tokenizer.fingerprint
    assert isinstance(second.train, np.memmap)


@pytest.mark.parametrize("changes", [{"vocab_size": 290}, {"tokenizer": "char"}, {"val_fraction": 0.2}])
def test_other_settings_are_another_entry(text_file, cache, count_encodings, changes):
    prepare(config_for(text_file), cache)
    prepare(config_for(text_file, **changes), cache)
    assert count_encodings["encoded"] == 2


def test_an_edited_text_is_another_entry(text_file, cache, count_encodings):
    _, before = prepare(config_for(text_file), cache)
    state = text_file.stat()
    text_file.write_bytes(TEXT.replace("cat", "dog").encode())
    os.utime(text_file, ns=(state.st_atime_ns, state.st_mtime_ns))
    _, after = prepare(config_for(text_file), cache)
    assert count_encodings["encoded"] == 2
    assert before.fingerprint != after.fingerprint


def test_a_given_tokenizer_is_used_and_keeps_its_own_entry(text_file, cache):
    config = config_for(text_file, tokenizer="char")
    given = CharTokenizer("".join(sorted(set(TEXT) | {"X"})))
    used, split = prepare(config, cache, given)
    learned, other = prepare(config, cache)
    assert used is given
    assert learned.vocab_size == given.vocab_size - 1
    assert not same(split, other)


def cut_tokens(entry):
    os.truncate(entry / "tokens.bin", 10)


def remove_tokens(entry):
    (entry / "tokens.bin").unlink()


def break_header(entry):
    (entry / "header.json").write_text("{")


def empty_header(entry):
    (entry / "header.json").write_text("[]")


def change_header(entry):
    header = json.loads((entry / "header.json").read_text())
    (entry / "header.json").write_text(json.dumps({**header, "train_tokens": header["train_tokens"] + 1}))


@pytest.mark.parametrize("damage", [cut_tokens, remove_tokens, break_header, empty_header, change_header])
def test_a_damaged_entry_is_built_again(text_file, cache, count_encodings, damage):
    config = config_for(text_file, tokenizer="bytes")
    prepare(config, cache)
    damage(next(cache.glob("*/header.json")).parent)
    _, split = prepare(config, cache)
    assert count_encodings["encoded"] == 2
    assert split.train.tobytes() and len(split.train) == split.train_bytes
    prepare(config, cache)
    assert count_encodings["encoded"] == 2


def test_a_damaged_cached_tokenizer_is_learned_again(text_file, cache, count_encodings):
    prepare(config_for(text_file), cache)
    ranks = next(cache.glob("*/ranks.tiktoken"))
    ranks.write_bytes(ranks.read_bytes()[:-5])
    prepare(config_for(text_file), cache)
    assert count_encodings == {"encoded": 1, "learned": 2}


class StopAsked(BaseException):
    pass


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_at_any_moment_leaves_nothing_half_written(text_file, cache, kind, monkeypatch):
    monkeypatch.setattr(tokens_module, "_READ_BYTES", 3000)
    config = config_for(text_file, tokenizer=kind)
    calls = []
    _, whole = prepare(config, cache.with_name("whole"), on_progress=lambda *both: calls.append(both))
    for last in range(len(calls)):
        seen = []

        def stop(done, total, last=last, seen=seen):
            seen.append(done)
            if len(seen) > last:
                raise StopAsked

        folder = cache / str(last)
        with pytest.raises(StopAsked):
            prepare(config, folder, on_progress=stop)
        assert not list(folder.glob(".*"))
        assert same(prepare(config, folder)[1], whole)


def test_progress_climbs_to_its_total(text_file, cache):
    text_file.write_bytes(b"\xef\xbb\xbf" + TEXT.encode() * 100)
    calls = []
    prepare(config_for(text_file), cache, on_progress=lambda *both: calls.append(both))
    done = [call[0] for call in calls]
    assert done == sorted(done)
    assert calls[-1][0] == calls[-1][1] == 2 * len(TEXT.encode() * 100)
    assert len(calls) > 4
    calls.clear()
    prepare(config_for(text_file), cache, on_progress=lambda *both: calls.append(both))
    assert calls[-1][0] == calls[-1][1]


def test_ids_above_uint16_do_not_wrap(tmp_path, cache):
    text = "".join(chr(point) for point in [*range(0x4E00, 0x9FFF), *range(0x20000, 0x2A6D0), *range(0xAC00, 0xD7A3)])
    (tmp_path / "signs.txt").write_text(text)
    tokenizer, split = prepare(config_for(tmp_path / "signs.txt", tokenizer="char", val_fraction=0.01), cache)
    assert tokenizer.vocab_size > 1 << 16
    assert split.train.dtype == np.uint32
    assert tokenizer.decode([*split.train.tolist(), *split.val.tolist()]) == text
    assert token_type(1 << 16) == np.uint16
    assert token_type((1 << 16) + 1) == np.uint32


def test_one_distinct_character(tmp_path, cache):
    (tmp_path / "a.txt").write_text("a" * 5000)
    tokenizer, split = prepare(config_for(tmp_path / "a.txt", tokenizer="char"), cache)
    assert tokenizer.vocab_size == 1
    assert (len(split.train), len(split.val)) == (4500, 500)
    prepare(config_for(tmp_path / "a.txt", vocab_size=4096), cache)


def test_two_at_once_both_work(text_file, cache):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: prepare(config_for(text_file), cache), range(8)))
    assert all(same(results[0][1], split) for _, split in results)
    assert not list(cache.glob(".*"))


def test_mapped_tokens_outlive_the_cache_and_the_text(text_file, cache):
    _, split = prepare(config_for(text_file, tokenizer="bytes"), cache)
    text_file.unlink()
    for file in cache.glob("*/*"):
        file.unlink()
    assert split.train.tobytes()
    assert bytes(split.train.astype(np.uint8)) == TEXT.encode()[: split.train_bytes]


def test_without_a_cache_folder_a_temporary_one_serves_and_goes(text_file, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    for place in (text_file / "below-a-file", Path("/proc/nowhere")):
        tokenizer, split = prepare(config_for(text_file), place)
        assert tokenizer.decode_bytes(split.train.tolist()) == TEXT.encode()[: split.train_bytes]
        assert not list((tmp_path / "temporary").iterdir())


def test_full_disks_are_told_with_their_paths(text_file, cache, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError) as error:
        prepare(config_for(text_file), cache)
    message = str(error.value)
    assert len(message.splitlines()) <= 3
    for word in (str(cache), str(tmp_path), "No space left", "TMPDIR"):
        assert word in message
    assert not list(cache.glob(".*"))
    assert not list(tmp_path.glob("tui-trainer-*"))


def test_a_text_that_changes_between_the_passes_is_refused(text_file, cache):
    def edit(done: int, total: int) -> None:
        text_file.write_bytes(TEXT.upper().encode())

    with pytest.raises(UserError, match="changed while it was read"):
        prepare(config_for(text_file, tokenizer="bytes"), cache, on_progress=edit)
    assert not list(cache.iterdir())


def test_the_default_cache_is_the_users(text_file, own_home):
    prepare(config_for(text_file, tokenizer="bytes"), None)
    assert list((own_home / ".cache/tui-trainer/tokens").glob("*/tokens.bin"))
    assert places.cache_folder() == own_home / ".cache/tui-trainer"


def test_the_embedded_text_needs_no_configuration(cache):
    tokenizer, split = prepare(config_for(None, vocab_size=1024), cache)
    assert tokenizer.vocab_size == 1024
    assert len(split.val) > 1000


def test_memory_stays_small_on_one_long_line(tmp_path, monkeypatch):
    """The pieces that a 40 MB line is read and encoded in stay near a megabyte."""
    path = tmp_path / "line.txt"
    path.write_bytes(b"abcdefghij" * 4_000_000)
    longest = 0

    class Watching(ByteTokenizer):
        def encode(self, text):
            nonlocal longest
            longest = max(longest, len(text))
            return super().encode(text)

    prepare(config_for(path, tokenizer="bytes"), tmp_path / "cache", Watching())
    assert longest <= 2 << 20
