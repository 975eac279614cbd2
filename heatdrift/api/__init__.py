"""What ``import heatdrift`` offers besides the questions: stores, reports, training and comparisons in Python.

Each function is a thin layer over what the command of its name calls; like ``cli`` it is a place where stages meet.
``heatdrift/__init__.py`` lists the public names.
"""
