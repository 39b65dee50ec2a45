"""What both estimators share: parameters, the training itself, files."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, Self

from trainer.arrays import Floats, Named
from trainer.config import Config, ModelKind
from trainer.errors import UserMistake
from trainer.estimators import files, parameters
from trainer.estimators.errors import as_value_errors, not_fitted

_OWN = "estimator"


class Estimator:
    """An estimator in the sense of scikit-learn. Parameters are checked in fit, as its conventions want it."""

    _kind: ClassVar[parameters.ConfigKind]
    _model: ClassVar[ModelKind]

    random_state: Any

    # What fit leaves behind beside what the models add.
    config_: Config
    state_: Named  # the checkpoint of the training
    seed_: int
    history_: list[dict[str, Any]]
    watched_: dict[str, str]  # the files that `watch` asks for: content by name
    n_iter_: int

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        known = parameters.defaults(cls._kind)
        cls.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=known[name]) for name in sorted(known)]
        )
        if cls.__doc__ and "{parameters}" in cls.__doc__:
            cls.__doc__ = cls.__doc__.replace("        {parameters}", parameters.documentation(cls._kind))

    def __init__(self, **given: Any) -> None:
        known = parameters.defaults(self._kind)
        for name in given:
            if name not in known:
                raise TypeError(_unknown(name, known))
        for name, default in known.items():
            setattr(self, name, given.get(name, default))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name. None of them is an estimator, so `deep` changes nothing."""
        del deep
        return {name: getattr(self, name) for name in sorted(parameters.defaults(self._kind))}

    def set_params(self, **given: Any) -> Self:
        """Change parameters; they count from the next fit on. Raises ValueError for an unknown one."""
        known = parameters.defaults(self._kind)
        for name, value in given.items():
            if name not in known:
                raise ValueError(_unknown(name, known))
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        known = parameters.defaults(self._kind)
        changed = {name: value for name, value in self.get_params().items() if repr(value) != repr(known[name])}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "state_")

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise not_fitted(self)

    @property
    def weights_(self) -> dict[str, Floats]:
        """The trained matrices (rows, columns) by name."""
        self._check_fitted()
        return files.weights_in(self.state_)

    def _config(self, seed: int, *, has_valid: bool, **changed: Any) -> Config:
        return parameters.to_config(self._model, {**self.get_params(), **changed}, seed, has_valid=has_valid)

    def _train(self, config: Config, load: Callable[[], Any], go_on: bool, callbacks: Iterable[Any]) -> Self:
        """Run the loop and keep what it leaves, also when it was interrupted or diverged."""
        with kernels_kept_for(config):
            from trainer.estimators import training
            from trainer.loop import Outcome
            from trainer.origin import kept_with_weights

            model = load()
        reporter = training.MemoryReporter(callbacks)
        with training.InterruptedBetweenUpdates(reporter) as interrupt, as_value_errors():
            state, outcome = training.run(config, model, self.state_ if go_on else None, reporter)
        self.config_, self.seed_, self.state_ = config, config.seed, state.to_arrays(kept_with_weights(config, model))
        past = self.history_ if go_on else []
        self.history_ = past + training.plain_numbers(reporter.history)
        self.watched_ = {**(self.watched_ if go_on else {}), **reporter.texts}
        self.n_iter_ = state.epoch
        if interrupt.happened:
            raise KeyboardInterrupt
        if outcome is Outcome.DIVERGED:
            raise training.diverged(state)
        return self

    def save(self, path: files.FilePath) -> None:
        """Write the fitted estimator to a .npz file (no pickle): parameters, weights, optimizer, history."""
        self._check_fitted()
        own = {"name": type(self)._model.value, "parameters": self._plain_parameters(), "seed": self.seed_,
               "history": self.history_, "watched": self.watched_}  # fmt: skip
        files.write_arrays(path, {**self.state_, **self._arrays(), _OWN: files.to_bytes(own)})

    def _plain_parameters(self) -> dict[str, Any]:
        """A generator cannot be kept: the seed that was drawn from it is."""
        found: dict[str, Any] = parameters.plain(self.get_params())
        return found if found["random_state"] is None else {**found, "random_state": self.seed_}

    @classmethod
    def load(cls, path: files.FilePath) -> Self:
        """A fitted estimator from a file that save wrote, or from a checkpoint of a run. Raises ValueError."""
        with as_value_errors():
            arrays = files.read_arrays(path)
            saved = files.parameters_in(arrays)
            if saved.get("model") != cls._model.value:
                raise UserMistake(f"{path}: this is a {saved.get('model')}; allowed: a {cls._model.value}")
            own = files.from_bytes(arrays[_OWN]) if _OWN in arrays else {}
            known = own.get("parameters", parameters.from_config(cls._kind, saved))
            found = cls(**{name: value for name, value in known.items() if name in parameters.defaults(cls._kind)})
            found.seed_, found.history_ = int(own.get("seed", saved.get("seed", 0))), own.get("history", [])
            found.watched_ = own.get("watched", {})
            found._restore(path, arrays)
        return found

    @classmethod
    def from_checkpoint(cls, path: files.FilePath) -> Self:
        """The model of a run, from the .npz file of one of its checkpoints. Raises ValueError."""
        return cls.load(path)

    def best(self) -> Self:
        """A copy with the weights of the least validation loss. Raises ValueError without validation data."""
        self._check_fitted()
        found = copy.copy(self)
        with as_value_errors():
            found.state_ = files.with_best_weights(self.state_)
        return found

    def _keep(self, arrays: Named, names: Iterable[str], config: Config) -> None:
        """Become fitted by a file; `names` are the arrays in it that are not the training's."""
        left_out = {_OWN, *names}
        self.state_ = {name: array for name, array in arrays.items() if name not in left_out}
        self.config_, self.n_iter_ = config, int(arrays["position"][1])

    def _arrays(self) -> Named:
        """What a file has to keep beside the training."""
        raise NotImplementedError

    def _restore(self, path: files.FilePath, arrays: Named) -> None:
        """Become fitted by a file. Raises UserMistake."""
        raise NotImplementedError

    def export(self, path: files.FilePath, format: str | None = None) -> None:  # noqa: A002
        """Write the weights alone: "npz", "safetensors", or "torch" for safetensors under the names of PyTorch.

        Without a format the ending of the path decides. Raises ValueError.
        """
        from trainer.export import write_weights

        self._check_fitted()
        with as_value_errors():
            write_weights(self.weights_, files.parameters_in(self.state_), path, format)

    def to_torch_state_dict(self) -> dict[str, Any]:
        """See trainer.export.to_torch_state_dict. Raises ValueError where PyTorch lacks the activation."""
        from trainer.export import activation_of, to_torch_state_dict

        self._check_fitted()
        with as_value_errors():
            found: dict[str, Any] = to_torch_state_dict(self.weights_, activation_of(files.parameters_in(self.state_)))
        return found


def kernels_kept_for(config: Config) -> Any:
    """A context in which the modules of kernels are imported for the first time."""
    from trainer.jit import compiled_kernels_kept_for

    return compiled_kernels_kept_for(config.dtype.value)


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(known))}"
    return f"unknown parameter {name}; {hint}"
