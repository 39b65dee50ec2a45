[ ! -r /etc/profile ] || . /etc/profile
cd "$HOME" || exit
module load gcc/12 || exit
module load cuda/12.2 || exit
source ~/venv/bin/activate
export LABQ_HOME=/home/me/100%
# LABQ_MONGO_URL holds a password: it comes from the environment of the submission
task=$1
export LABQ_ALLOCATION=k3f9x2ab-$task
exec >>"$labq_logs/k3f9x2ab-$task.log" 2>&1
exec "$labq_python" -P -m queueing.cli.main worker --queue=night --cpus=2 --memory=12000000000 --gpus=1 --tag=big --idle-exit=600 --until=+130001
