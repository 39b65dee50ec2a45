#!/bin/sh
# In the container of Valkey or Redis: the password goes through a file, for whoever may list processes reads command lines.
#     redis-start.sh valkey-server OPTION…
set -eu
umask 077
file=${LABQ_REDIS_AUTH:-/tmp/auth.conf}
printf 'requirepass "%s"\n' "$(cat "${LABQ_SECRETS:-/run/secrets}/redis_password")" >"$file"
if [ "$(id -u)" = 0 ] && id valkey >/dev/null 2>&1; then
    chown valkey "$file"
fi
server=$1
shift
exec docker-entrypoint.sh "$server" "$file" "$@"
