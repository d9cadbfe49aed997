"""From a Python function and its call to keys and a compiled wrapper."""
