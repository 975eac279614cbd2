"""Two studies over the cells that both have. It takes two sets of runs, so it has a command of its own."""
