"""Fuzzing: damaged files for every reader, and random networks for both engines."""
