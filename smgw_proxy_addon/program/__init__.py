"""The program and its commands. Imports from every other room."""
