"""Stage 2: sources of labelled images, their hashes, splits and preprocessing. Needs no torch to plan."""
