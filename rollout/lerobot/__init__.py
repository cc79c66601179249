"""People's play in any window, kept in the LeRobotDataset v3.0 layout, which others' tools read too.

While it is played an episode lies in a folder of its own, as a film in fragments and a journal, so that a killed
recorder loses a second and no more; afterwards it becomes part of the dataset: see `unfinished` and `dataset`.
"""
