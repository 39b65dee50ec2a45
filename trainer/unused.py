"""Parameters that would have no effect. Pure.

A parameter that has another value than its default has been given, and one that is given is meant to do something: a
run that quietly ignores it would be taken for a result about it. One that is given its default does no harm.
"""

from __future__ import annotations

from dataclasses import fields

from trainer.config import ClassifierConfig, Common, OptimizerKind, Parallel, Watch

_MINI_BATCH = ("batch_size", "clip_norm", "learning_rate", "learning_rate_decay", "halve_on_rise")
_MOMENTUM = ("initial_momentum", "final_momentum", "momentum_switchover", "nesterov")
_PACE = ("log_every", "watch_every")
_USED = {
    OptimizerKind.SGD: {*_MINI_BATCH, *_MOMENTUM, *_PACE},
    OptimizerKind.ADAGRAD: {*_MINI_BATCH, *_PACE, "epsilon"},
    OptimizerKind.RMSPROP: {*_MINI_BATCH, *_PACE, "epsilon", "rho"},
    OptimizerKind.ADAM: {*_MINI_BATCH, *_PACE, "epsilon", "beta1", "beta2"},
    OptimizerKind.CG: {"iterations"},
    OptimizerKind.BFGS: {"iterations"},
    OptimizerKind.L_BFGS: {"iterations"},
}
_OF_AN_OPTIMIZER = set().union(*_USED.values())
_OF_A_CLASSIFIER = (Watch.HEADS, Watch.CONFUSION, Watch.FEATURES)


def unused(config: Common) -> list[str]:
    """What is given and would be ignored, one problem each."""
    kind = config.optimizer
    given = [f.name for f in fields(config) if f.name in _OF_AN_OPTIMIZER and getattr(config, f.name) != f.default]
    ignored = (name for name in given if name not in _USED[kind])
    problems = [f"{name} is given, but optimizer = {kind.value} does not use it; leave it out" for name in ignored]
    if config.nesterov and not config.has_momentum:
        problems.append("nesterov is true without momentum; allowed: initial_momentum or final_momentum > 0")
    if kind.is_full_batch and config.parallel is Parallel.SERVER:
        problems.append(f"parallel is server, but optimizer = {kind.value} makes no asynchronous updates; leave it out")
    if not isinstance(config, ClassifierConfig):
        wrong = [watch.value for watch in config.watch if watch in _OF_A_CLASSIFIER]
        problems += [f"watch has {name}, which a language model does not have; leave it out" for name in wrong]
    return problems
