"""The command line: thin commands that open, call one function, and show. Stages meet here."""
