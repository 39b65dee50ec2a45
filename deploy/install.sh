#!/bin/sh
# Installs labq into .venv beside it:   sh deploy/install.sh [EXTRA]      (EXTRA: embedded, the default, or test)
# Installs the few Debian packages it needs where they are missing; elsewhere it says what is missing.
set -eu
cd "$(dirname "$0")/.."
extra=${1:-embedded}
venv=${LABQ_VENV:-.venv}
python=${PYTHON:-python3}

say() { printf 'install: %s\n' "$*" >&2; }

# debian PACKAGE...: install them, or say that somebody should.
debian() {
    if ! command -v apt-get >/dev/null 2>&1; then
        say "please install what Debian calls: $*"
        return 1
    fi
    root=
    [ "$(id -u)" = 0 ] || root=sudo
    if [ -n "$root" ] && ! command -v sudo >/dev/null 2>&1; then
        say "please run as root: apt-get install $*"
        return 1
    fi
    say "apt-get install $*"
    $root apt-get update -qq >&2
    # RUNLEVEL=1: what is installed for the tests (Slurm, SGE) must not start as a service of this machine.
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 $root apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

command -v "$python" >/dev/null 2>&1 || debian python3 python3-venv
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    say "$("$python" --version) is too old: labq needs Python 3.11 or newer (PYTHON=/path/to/python3.12 sh $0)"
    exit 1
}
"$python" -c 'import ensurepip, venv' 2>/dev/null || debian python3-venv
# mongod of the extra `embedded` needs libcurl.
if command -v ldconfig >/dev/null 2>&1 || [ -x /sbin/ldconfig ]; then
    PATH=$PATH:/sbin ldconfig -p | grep -q 'libcurl\.so\.4' || debian libcurl4
fi
[ "$extra" != test ] || command -v git >/dev/null 2>&1 || debian git
# What the tests cut cables and turn clocks with; without it those tests say what is missing. Never asks for a password.
if [ "$extra" = test ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    tools=
    command -v ip >/dev/null 2>&1 || tools="$tools iproute2"
    command -v iptables >/dev/null 2>&1 || tools="$tools iptables"
    # What reads deploy/: shellcheck, systemd-analyze; and a Redis that knows TLS.
    command -v shellcheck >/dev/null 2>&1 || tools="$tools shellcheck"
    command -v systemd-analyze >/dev/null 2>&1 || tools="$tools systemd"
    command -v redis-check-rdb >/dev/null 2>&1 || tools="$tools redis-tools"
    ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || tools="$tools libfaketime"
    # shellcheck disable=SC2086
    [ -z "$tools" ] || debian $tools || say "going on without:$tools"
fi
# A real sshd for tests/clusters; without it the tests of hosts that ssh reaches, and only those, are skipped.
if [ "$extra" = test ] && ! PATH=$PATH:/usr/sbin command -v sshd >/dev/null 2>&1; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        say "not root on a Debian: the tests of ssh will be skipped; they want: openssh-server openssh-client"
    else
        debian openssh-server openssh-client || say "going on without openssh-server; the tests of ssh will be skipped"
    fi
fi
# Real schedulers for tests/clusters; without them those tests, and only those, are skipped.
if [ "$extra" = test ]; then
    schedulers=
    PATH=$PATH:/usr/sbin command -v slurmctld >/dev/null 2>&1 || schedulers="$schedulers slurm-wlm munge"
    PATH=$PATH:/usr/sbin command -v sge_qmaster >/dev/null 2>&1 ||
        schedulers="$schedulers gridengine-master gridengine-exec gridengine-client"
    if [ -n "$schedulers" ] && { [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; }; then
        say "not root on a Debian: the tests of clusters will be skipped; they want:$schedulers"
    elif [ -n "$schedulers" ]; then
        # shellcheck disable=SC2086
        debian $schedulers || say "going on without:$schedulers; the tests of clusters will be skipped"
    fi
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extra]"
say "done: $venv/bin/labq --help"
