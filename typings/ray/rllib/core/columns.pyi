from typing import Final

class Columns:
    OBS: Final = "obs"
    ACTIONS: Final = "actions"
    ACTION_LOGP: Final = "action_logp"
    ACTION_DIST_INPUTS: Final = "action_dist_inputs"
    EMBEDDINGS: Final = "embeddings"
