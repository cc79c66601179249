# Settings, from the environment.

CACHE_DIR: str
