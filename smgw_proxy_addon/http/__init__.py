"""Pure HTTP: headers, their rewriting, Digest. No sockets, files or clock."""
