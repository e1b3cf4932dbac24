"""The compute host: the actor `host:<name>`, its guests, and the drivers of its hypervisors."""
