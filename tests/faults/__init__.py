"""The fault matrix: what can go wrong, what the client gets then, and how everything goes on by itself.

A row is one fault, ``scene.play`` plays it against a proxy and a simulated gateway with a cable between them.
``python -m tests.faults`` prints the table that is in ``docs/reliability.md``.
"""

from typing import Final

from tests.faults import disk_rows, gateway_rows, login_memory_rows

ROWS: Final = [*gateway_rows.ROWS, *disk_rows.ROWS, *login_memory_rows.ROWS]
