"""What stands in for the world outside the processes: disks, hypervisors, partners, wall clocks; and who watches."""
