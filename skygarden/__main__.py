"""`python -m skygarden`."""

from skygarden.cli import main

main()
