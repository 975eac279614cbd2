#!/bin/bash
# heatdrift scale ray: {{ cells }} cells of study {{ study }} that are not finished, as tasks of a Ray cluster.
# Time: {{ time_words }}.
# Memory: {{ memory_words }}.
# Every machine needs the same Python and heatdrift (python -m pip install 'heatdrift[ray]'), and the data at the same
# path. The store lies on the machine of the last step alone.
#
#   1. on the first machine:      bash THIS_FILE head
#   2. on each other machine:     bash THIS_FILE node FIRST_MACHINE
#   3. where the store shall be, on a machine of the cluster:  bash THIS_FILE train FIRST_MACHINE
#
# Run step 3 again after anything: only what is missing runs. A machine may go and another come while it runs.
set -eu

port=6379
export RAY_USAGE_STATS_ENABLED=0

case "${1:-}" in
  head)
    ray start --head --port="$port" --dashboard-host=127.0.0.1
    ;;
  node)
    ray start --address="${2:?the name of the first machine}:$port"
    ;;
  train)
    exec {{ command }} --executor ray --address "${2:?the name of the first machine}:$port" \
      --gpus {{ gpus }} --memory {{ memory_gib }} --threads {{ threads }}
    ;;
  *)
    echo "usage: $0 head | node FIRST_MACHINE | train FIRST_MACHINE" >&2
    exit 2
    ;;
esac
