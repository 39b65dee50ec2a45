"""What cuts a text into words. None of them needs a download."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from trainer.config import Tokenizer
from trainer.errors import UserMistake

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:[.,]\d+)*|[^\w\s]+|_+")

Cut = Callable[[str], list[str]]


def tokenize(text: str) -> list[str]:
    """Words in lower case, numbers, and punctuation marks in runs: "Don't, 3.5!" is don't , 3.5 !"""
    return _WORD.findall(text.lower())


def tokenizer(kind: Tokenizer) -> Cut:
    """A function from a text to its words in lower case. Raises UserMistake when its package is missing."""
    if kind is Tokenizer.SIMPLE:
        return tokenize
    try:
        from nltk.tokenize.casual import TweetTokenizer
        from nltk.tokenize.destructive import NLTKWordTokenizer
    except ImportError:
        raise missing_extra(f'data.tokenizer = "{kind.value}"', "nltk", "tokenizers") from None
    if kind is Tokenizer.TWEET:
        made: Any = TweetTokenizer
        cut: Cut = made(preserve_case=False, reduce_len=True).tokenize  # it keeps the case of :-D
        return cut
    return lambda text: NLTKWordTokenizer().tokenize(text.lower())


def version_of(package: str) -> str | None:
    """Of an installed package, found without importing it; None when it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def missing_extra(parameter: str, package: str, extra: str) -> UserMistake:
    """What to say when a parameter needs a package that is not installed."""
    return UserMistake(f"{parameter} needs the package {package}, which is not installed: pip install 'labq[{extra}]'")
