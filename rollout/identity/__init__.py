"""Who is who between a learner and its workers, and how much one of them may take.

`papers` are what a party shows, `certificates` makes them, `trust` asks for them or for tokens, `door` counts.
"""
