"""Moving episodes: from where they are played or kept to where they are learnt from."""
