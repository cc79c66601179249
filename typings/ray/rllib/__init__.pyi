# What Skygarden uses of RLlib, typed.
