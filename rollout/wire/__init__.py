"""What the protocol compiler made of proto/; never edited. Make it anew with `make proto`."""
