"""The tests of the proxy: one file per module, real sockets, no mocks."""
