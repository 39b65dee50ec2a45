#!/bin/bash -l
# A worker of labq in a Slurm job. Your own: copy this file, change it, name it in labq.toml: slurm_template = "…"
#SBATCH --comment="labq worker of queue night"
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --mem=11445M
#SBATCH --gres=gpu:a100:1
#SBATCH --time=1-12:06:41
#SBATCH --signal=B:USR1@60
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=/home/me/100%%/allocations/k3f9x2ab-%a.log
#SBATCH --chdir="/home/me/my runs"
#SBATCH --export=ALL
#SBATCH --partition=gpu
#SBATCH --account=lab
#SBATCH --constraint="a100|h100 & hbm"
#SBATCH --qos=long
#SBATCH --exclude=n[3-4]

module load gcc/12 || exit
module load cuda/12.2 || exit
source ~/venv/bin/activate
export LABQ_HOME=/home/me/100%
# LABQ_MONGO_URL holds a password: it comes from the environment of the submission
task=${SLURM_ARRAY_TASK_ID:-0}
export LABQ_ALLOCATION=k3f9x2ab-$task
# A warning that comes before labq listens must not end it.
trap '' USR1 USR2
# exec: signals of Slurm reach labq, not a shell.
exec /opt/labq/bin/python -P -m queueing.cli.main worker --queue=night --cpus=2 --memory=12000000000 --tag=big --idle-exit=600
