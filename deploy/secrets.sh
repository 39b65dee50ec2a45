#!/bin/sh
# Makes what deploy/compose.yaml needs and nobody else may know:   sh deploy/secrets.sh HOST [ADDRESS]
# HOST: the name by which workers reach this machine. ADDRESS: where the servers listen (default: all addresses).
# What is there already is kept, so that it may be run again.
set -eu
cd "$(dirname "$0")"
case ${1:-} in
'' | *[!A-Za-z0-9.-]*)
    printf 'usage: sh deploy/secrets.sh HOST [ADDRESS]     HOST: a name such as queue.lab.example\n' >&2
    exit 2
    ;;
esac
host=$1
bind=${2:-0.0.0.0}
into=${LABQ_DEPLOY:-.}
mongo_port=${LABQ_MONGO_PORT:-27017}
redis_port=${LABQ_REDIS_PORT:-6379}
umask 077
mkdir -p "$into/secrets"

# once FILE: what comes on stdin goes into it, unless it is there.
once() {
    if [ -s "$into/$1" ]; then
        cat >/dev/null
    else
        cat >"$into/$1.new"
        mv "$into/$1.new" "$into/$1"
    fi
}

password() {
    head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'
}

head -c 756 /dev/urandom | base64 | tr -d '\n' | once secrets/mongo_key
password | once secrets/mongo_root_password
password | once secrets/labq_password
password | once secrets/redis_password
labq=$(cat "$into/secrets/labq_password")
redis=$(cat "$into/secrets/redis_password")
printf 'mongodb://labq:%s@%s:%s/?replicaSet=rs0&authSource=labq\n' "$labq" "$host" "$mongo_port" | once secrets/mongo_url
printf 'redis://:%s@%s:%s/0\n' "$redis" "$host" "$redis_port" | once secrets/redis_url
printf 'redis://:%s@%s-redis:%s/0\n' "$redis" "$host" "$redis_port" | once secrets/redis_url_inside
printf 'mongo_url = "%s"\nredis_url = "%s"\n' "$(cat "$into/secrets/mongo_url")" "$(cat "$into/secrets/redis_url")" |
    once secrets/labq.toml
once .env <<END
# Of deploy/compose.yaml. Secrets are in secrets/; example.env tells what else may stand here.
LABQ_HOST=$host
LABQ_BIND=$bind
LABQ_MONGO_PORT=$mongo_port
LABQ_REDIS_PORT=$redis_port
LABQ_UID=$(id -u)
LABQ_GID=$(id -g)
END
once notifier.env <<END
# Settings of the notifier, such as LABQ_SMTP_HOST=smtp.lab.example (docs/mail.md)
END
printf 'secrets: made in %s; labq.toml for workers and users: %s/secrets/labq.toml\n' "$(pwd)/$into" "$(pwd)/$into" >&2
