"""Servers for pages of this machine: who may enter, and how much they may do."""
