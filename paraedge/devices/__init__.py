"""Devices: one file each, found by entry point; they don't know each other."""
