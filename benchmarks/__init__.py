"""Side-by-side measurements of the proxy and its peers; never part of the timed tests.

A speed is only ever compared with a peer's in the same run: what a machine does alone says little.
"""
