"""What an operator does with a server beside running it; `cli.py` only adds these commands."""
