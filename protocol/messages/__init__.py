"""Requests and replies, by the area they are about."""
