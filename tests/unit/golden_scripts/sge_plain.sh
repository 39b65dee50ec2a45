#!/bin/bash
# A worker of labq in an SGE job. Your own: copy this file, change it, name it in labq.toml: sge_template = "…"
#$ -S /bin/bash
#$ -V
#$ -notify
#$ -r y
#$ -j y
#$ -o /home/me/100%/allocations/k3f9x2ab-$TASK_ID.log
#$ -wd "/home/me/my runs"
#$ -l h_rt=4:00:00

export LABQ_HOME=/home/me/100%
# LABQ_MONGO_URL holds a password: it comes from the environment of the submission
task=$SGE_TASK_ID
export LABQ_ALLOCATION=k3f9x2ab-$task
# A warning that comes before labq listens must not end it.
trap '' USR1 USR2
# exec: signals of SGE reach labq, not a shell.
exec /opt/labq/bin/python -P -m queueing.cli.main worker --queue=default --cpus=1 --gpus=0 --until=+14400
