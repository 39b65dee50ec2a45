#!/bin/bash
# A worker of labq in a Slurm job. Your own: copy this file, change it, name it in labq.toml: slurm_template = "…"
#SBATCH --comment="labq worker of queue default"
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=/home/me/100%%/allocations/k3f9x2ab-%a.log
#SBATCH --chdir="/home/me/my runs"
#SBATCH --export=ALL

export LABQ_HOME=/home/me/100%
# LABQ_MONGO_URL holds a password: it comes from the environment of the submission
task=${SLURM_ARRAY_TASK_ID:-0}
export LABQ_ALLOCATION=k3f9x2ab-$task
# A warning that comes before labq listens must not end it.
trap '' USR1 USR2
# exec: signals of Slurm reach labq, not a shell.
exec /opt/labq/bin/python -P -m queueing.cli.main worker --queue=default --cpus=1 --gpus=0
