"""Looking what has become of the places that were asked for: the store is brought up to date with the schedulers."""

from collections.abc import Sequence

from store.allocations import Allocation
from store.errors import LabqError, SchedulerMissing, SchedulerUnavailable
from store.identity import user_name
from store.schedulers import Scheduler
from store.settings import Settings
from store.store import Store
from worker.cluster.cluster import Cluster, Job
from worker.cluster.each import for_each
from worker.cluster.reconcile import reconcile
from worker.cluster.remote import Remote, check_is_same
from worker.cluster.ssh import Ssh
from worker.cluster.submit import cluster_of

REMEMBER_S = 3600.0
"""A job that seemed to be over and lives after all is noticed within this time."""


def look(store: Store, cluster: Cluster, known: list[Allocation] | None = None) -> list[Allocation]:
    """Those of this user in this cluster, as they are now. Raises SchedulerMissing, SchedulerUnavailable."""
    known = known if known is not None else mine(store, cluster)  # before the jobs: see reconcile
    jobs: list[Job] = cluster.jobs()
    news = reconcile(known, jobs, store.now())
    store.sight(news)
    return mine(store, cluster) if news else known


def look_everywhere(store: Store, settings: Settings) -> list[str]:
    """At every scheduler that this user has open places of; what kept us from looking, a line each."""
    open_ones = [one for one in store.allocations(0) if not one.is_over and one.owner == user_name()]
    troubles = []
    for scheduler in sorted({one.scheduler for one in open_ones} - {Scheduler.SSH}):
        try:
            look(store, cluster_of(scheduler, settings))
        except (SchedulerMissing, SchedulerUnavailable) as error:
            troubles.append(f"{scheduler}: as it was seen last; {error}")
    return [*troubles, *_look_at_hosts(store, settings, open_ones)]


def _look_at_hosts(store: Store, settings: Settings, open_ones: Sequence[Allocation]) -> list[str]:
    hosts = sorted({one.cluster for one in open_ones if one.scheduler is Scheduler.SSH})
    ssh = Ssh(settings) if hosts else None
    seen = for_each(hosts, lambda host: look_at_host(store, Remote(settings, host, ssh)))
    return [f"{host}: as it was seen last; {error}" for host, error in seen.items() if isinstance(error, LabqError)]


def look_at_host(store: Store, remote: Remote) -> list[Allocation]:
    """As `look`, at one machine by ssh. Raises SchedulerMissing, SchedulerUnavailable, UserError."""
    known = mine(store, remote)
    remote.meet()
    check_is_same(known, str(remote.hello["host"]))
    return look(store, remote, known)


def mine(store: Store, cluster: Cluster) -> list[Allocation]:
    """Other users' jobs and other clusters' are none that this cluster's list could tell us about."""
    name, user = cluster.name(), user_name()
    found: Sequence[Allocation] = store.allocations(REMEMBER_S)
    return [one for one in found if (one.scheduler, one.cluster, one.owner) == (cluster.scheduler, name, user)]
