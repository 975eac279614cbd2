"""One family of methods per module; ``registry.py`` finds them here, and nothing else lists them."""
