"""Text to token ids and back: GPT-2's table, one learned from the text, characters, or bytes."""

from tui_trainer.data.tokenizers.bpe import GPT2_PATTERN, BpeTokenizer, load_gpt2_ranks
from tui_trainer.data.tokenizers.choice import learn_tokenizer, load_tokenizer
from tui_trainer.data.tokenizers.hugging_face import hugging_face_files, load_hugging_face_tokenizer
from tui_trainer.data.tokenizers.symbols import ByteTokenizer, CharTokenizer
from tui_trainer.data.tokenizers.tokenizer import Tokenizer

__all__ = [
    "GPT2_PATTERN",
    "BpeTokenizer",
    "ByteTokenizer",
    "CharTokenizer",
    "Tokenizer",
    "hugging_face_files",
    "learn_tokenizer",
    "load_gpt2_ranks",
    "load_hugging_face_tokenizer",
    "load_tokenizer",
]
