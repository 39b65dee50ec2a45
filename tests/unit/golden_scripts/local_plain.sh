cd '/home/me/my runs' || exit
export LABQ_HOME=/home/me/100%
# LABQ_MONGO_URL holds a password: it comes from the environment of the submission
task=$1
export LABQ_ALLOCATION=k3f9x2ab-$task
exec >>/home/me/100%/allocations/k3f9x2ab-"$task.log" 2>&1
exec /opt/labq/bin/python -P -m queueing.cli.main worker --queue=default --cpus=1 --gpus=0
