"""A game on a render machine, as an actor of Ray's: what is under `rollout.pool`.

`ray_cluster` is all that is asked of Ray; `game` supervises, `life` starts one worker after the other, each with a
place of the machine from `slots`, and `guard` sees to it that none outlives its supervisor for long.
"""
