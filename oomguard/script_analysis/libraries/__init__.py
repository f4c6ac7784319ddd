"""What is known of Python's own functions and of the usual libraries.

A module here registers itself in the tables of interpreter/calls.py when it is imported; a new one need only be put
beside the others.
"""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__):
    if _module.name != "registry":  # it imports this package, and asks the table
        importlib.import_module(f"{__name__}.{_module.name}")
