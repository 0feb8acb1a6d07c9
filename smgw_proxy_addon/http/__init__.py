"""Pure HTTP: header rewriting and Digest. No sockets, files or clock."""
