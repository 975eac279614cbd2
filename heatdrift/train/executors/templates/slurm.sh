#!/bin/bash
# heatdrift scale slurm: {{ cells }} cells of study {{ study }} that are not finished, in {{ parts }} elements.
# Time: {{ time_words }}.
# Memory: {{ memory_words }}.
# Submit it with sbatch, from a folder that all nodes see. Submit it again: only what is missing runs.
#SBATCH --job-name=heatdrift-{{ study }}
#SBATCH --array=0-{{ parts - 1 }}
#SBATCH --time={{ limit }}
#SBATCH --mem={{ memory_gib }}G
#SBATCH --cpus-per-task={{ threads + 1 }}
{% if gpus %}#SBATCH --gres=gpu:{{ gpus }}
{% endif %}#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=heatdrift-%A_%a.log
#SBATCH --signal=B:USR1@300

# Slurm sends USR1 to this shell five minutes before the time limit, and TERM when it takes the node back. heatdrift
# stops at either, keeps its checkpoint and exits 75. After USR1 the element is requeued here; after TERM Slurm does it
# where the partition preempts by requeueing, and nobody where the user ran scancel.
again=0
woken=0
trap 'woken=1; again=1; kill -USR1 "$child"' USR1
trap 'woken=1; kill -TERM "$child"' TERM

{{ command }} --shard env --jobs 1 &
child=$!
while :; do
  woken=0
  wait "$child"
  code=$?
  [ "$woken" -eq 1 ] || break # a signal only ended the waiting
done

if [ "$code" -eq 75 ] && [ "$again" -eq 1 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$code" # 0 all done, 2 correct the command, 3 cells failed or diverged, 75 interrupted: try again
