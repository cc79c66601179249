"""Nothing is lost and nothing is used twice: what a worker and a learner keep of episodes on their way.

At the worker: `link` is what it calls, `line` the stream under it, `ledger` what it owes, `spool` the disk. At the
learner, under `rollout.desk`: `asked` is what was asked for and what came, `loans` who plays it, `seat` a worker's
place, `journal` the disk. Between them: `assignment`, `reports` and their `keys`.
"""
