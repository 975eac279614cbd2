"""Stage 1: study file -> ordered list of cells. Needs no torch and no data at hand."""
