"""The core as RLlib sees it: an algorithm and a learner for Tune and for those who know RLlib, and PPO to compare with.

`rollout.rllib.align` orders the functions that `rollout.learner` orders, and ends in the same weights, bit for bit. It
is for what RLlib is good at: sweeps, schedulers, checkpoints, callbacks. Needs the extra `cluster`.
"""
