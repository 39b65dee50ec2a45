cd "$HOME" || exit
export LABQ_HOME=/home/me/100%
# LABQ_MONGO_URL holds a password: it comes from the environment of the submission
task=$1
export LABQ_ALLOCATION=k3f9x2ab-$task
exec >>"$labq_logs/k3f9x2ab-$task.log" 2>&1
exec "$labq_python" -P -m queueing.cli.main worker --queue=default
