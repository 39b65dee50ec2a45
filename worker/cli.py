"""`labq worker`."""

import argparse
from dataclasses import replace

from store.logbook import open_logbook
from store.settings import load
from worker.cluster.words import duration, size


def worker(options: argparse.Namespace) -> int:
    """One worker in this process, or several in processes of their own."""
    open_logbook()
    settings = load().settings
    if options.count > 1:
        from worker.crew import Crew

        return Crew(options.count, _arguments(options)).run()
    from worker.loop import Loop, Offer

    settings = replace(settings, queue=options.queue or settings.queue)
    offer = Offer(
        queue=settings.queue,
        tags=tuple(options.tag),
        gpus=options.gpus,
        slots_per_gpu=options.slots_per_gpu,
        burst=options.burst,
        cpus=options.cpus,
        memory_bytes=size("--memory", options.memory),
        idle_exit_s=duration("--idle-exit", options.idle_exit),
    )
    return Loop(settings, offer).run()


def _arguments(options: argparse.Namespace) -> list[str]:
    """The options of one of several workers."""
    arguments = [f"--gpus={options.gpus}", f"--slots-per-gpu={options.slots_per_gpu}"]
    arguments += [f"--tag={tag}" for tag in options.tag]
    for name, value in (
        ("queue", options.queue), ("cpus", options.cpus), ("memory", options.memory), ("idle-exit", options.idle_exit)
    ):  # fmt: skip
        arguments += [f"--{name}={value}"] if value else []
    return arguments + (["--burst"] if options.burst else [])
