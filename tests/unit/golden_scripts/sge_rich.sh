#!/bin/bash -l
# A worker of labq in an SGE job. Your own: copy this file, change it, name it in labq.toml: sge_template = "…"
#$ -S /bin/bash
#$ -V
#$ -notify
#$ -r y
#$ -j y
#$ -o /home/me/100%/allocations/k3f9x2ab-$TASK_ID.log
#$ -wd "/home/me/my runs"
#$ -l h_rt=36:06:41
#$ -pe smp 2
#$ -l h_vmem=5723M
#$ -l gpu=1
#$ -l arch=lx-amd64
#$ -q gpu
#$ -P lab
#$ -m n

module load gcc/12 || exit
module load cuda/12.2 || exit
source ~/venv/bin/activate
export LABQ_HOME=/home/me/100%
# LABQ_MONGO_URL holds a password: it comes from the environment of the submission
task=$SGE_TASK_ID
export LABQ_ALLOCATION=k3f9x2ab-$task
# A warning that comes before labq listens must not end it.
trap '' USR1 USR2
# exec: signals of SGE reach labq, not a shell.
exec /opt/labq/bin/python -P -m queueing.cli.main worker --queue=night --cpus=2 --memory=12000000000 --tag=big --idle-exit=600 --until=+130001
