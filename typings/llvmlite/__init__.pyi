# What Skygarden uses of llvmlite, typed; it has no annotations of its own.
