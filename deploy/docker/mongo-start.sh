#!/bin/sh
# In the container of MongoDB: mongod wants a key that is its own and that nobody else can read; a secret of compose
# comes with the owner and mode of the file outside.
set -eu
key=${LABQ_KEY:-/tmp/mongo_key}
rm -f "$key"
install -m 400 "${LABQ_SECRETS:-/run/secrets}/mongo_key" "$key"
if [ "$(id -u)" = 0 ] && id mongodb >/dev/null 2>&1; then
    chown mongodb "$key"
fi
exec docker-entrypoint.sh mongod --keyFile "$key" "$@"
