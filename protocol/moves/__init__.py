"""What users ask for, as plans of steps: each a file that reads as its steps beside their undos."""
