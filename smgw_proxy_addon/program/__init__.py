"""The program and its commands: everything else is put together here. Imports from every other room."""
