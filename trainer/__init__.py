"""The built-in trainer: Elman recurrent networks as Numba kernels, started as `python -P -m trainer`, or as a library.

from trainer import RNNClassifier, RNNLanguageModel
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.estimators.classifier import RNNClassifier
    from trainer.estimators.language_model import RNNLanguageModel

__all__ = ["RNNClassifier", "RNNLanguageModel"]

# Imported when first used: the programme and its --check need neither them nor NumPy.
_HOMES = {"RNNClassifier": "trainer.estimators.classifier", "RNNLanguageModel": "trainer.estimators.language_model"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'trainer' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
