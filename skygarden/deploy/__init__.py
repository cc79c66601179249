"""What `skygarden deploy-check` knows of cluster files: their lines, their sizes of machines, and what goes wrong."""
