"""Where cells run: processes of this machine, a Ray cluster, Slurm. One Protocol (``base.py``), a module for each."""
